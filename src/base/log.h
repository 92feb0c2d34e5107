/*
 * log - one line per event, written by a thread of its own
 *
 * A caller puts its line behind those that wait and goes on; the log thread writes them to standard
 * output, many at a time. When there is no room the line is dropped and counted, and the count is
 * reported with the next line that fits: a stuck reader of our output never stops a worker.
 *
 * Never pass a secret or a prompt: keys are logged by name, bodies by size.
 *
 * Threads: any.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

enum log_kind { LOG_KIND_STR, LOG_KIND_INT };

/* One key and its value. An absent str (p NULL) leaves the field out. */
struct log_field {
    str lead[2]; // what stands before the value, by format: the key is known when this is compiled
    enum log_kind kind;
    str text;
    int64_t number;
};

#define LOG_LEADS(name)                                                                            \
    {                                                                                              \
        [LOG_TEXT] = STR_C(" " name "="), [LOG_JSON] = STR_C(",\"" name "\":")                     \
    }
#define LOG_STR(name, value)                                                                       \
    ((struct log_field){.lead = LOG_LEADS(name), .kind = LOG_KIND_STR, .text = (value)})
#define LOG_INT(name, value)                                                                       \
    ((struct log_field){.lead = LOG_LEADS(name), .kind = LOG_KIND_INT, .number = (int64_t)(value)})

/*
 * log_info("stream_end", LOG_STR("model", model), LOG_INT("lines", n));
 * The fields are not evaluated while the level is off.
 */
#define log_at(level, event, ...)                                                                  \
    do {                                                                                           \
        if (log_enabled(level)) {                                                                  \
            const struct log_field log_fields_[] = {__VA_ARGS__};                                  \
            log_write((level), (event), log_fields_, COUNT_OF(log_fields_));                       \
        }                                                                                          \
    } while (0)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)

/* Sets what is logged and how. Before log_start() nothing is logged; may be called again. */
void log_configure(enum log_level lowest, enum log_format format);

/* Starts the log thread, which writes to `fd`. */
void log_start(int fd);

/* Writes what waits and ends the thread. Waits at most a second for a stuck reader. */
void log_stop(void);

bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n);

/* Lines that did not fit since the start. */
uint64_t log_dropped(void);

/* What every line begins with. */
struct log_line_head {
    enum log_format format;
    int64_t wall_ms;
    enum log_level level;
    const char *event;
};

/*
 * Formats one line, with its newline, into `out`; returns its length, at most `cap`. Control
 * characters, U+2028 and U+2029 come out escaped, so one event is one line. For log_write and
 * its tests.
 */
size_t log_format_line(char *out, size_t cap, const struct log_line_head *head,
                       const struct log_field *fields, size_t n);

#endif
