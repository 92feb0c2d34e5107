/*
 * prometheus - writes metrics as Prometheus' text format 0.0.4 or as OpenMetrics 1.0
 *
 * A family is announced once, with its values behind it. The two formats differ in how counters
 * are announced and in the last line.
 *
 * Threads: none; pure.
 */
#ifndef CODEC_PROMETHEUS_H
#define CODEC_PROMETHEUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define PROMETHEUS_TEXT "text/plain; version=0.0.4; charset=utf-8"
#define PROMETHEUS_OPEN "application/openmetrics-text; version=1.0.0; charset=utf-8"

enum prometheus_type { PROMETHEUS_COUNTER, PROMETHEUS_GAUGE, PROMETHEUS_HISTOGRAM };

struct prometheus {
    struct buf *out; // borrowed
    bool openmetrics;
    const char *name; // of the family that was begun last
};

struct prometheus_label {
    const char *name;
    str value; // any bytes; what is no UTF-8 is cut
};

/* Whether an Accept header asks for OpenMetrics: it names it with a quality that is not 0. */
bool prometheus_wants_openmetrics(str accept);

/* Begins a family. A counter's name ends in "_total". */
void prometheus_family(struct prometheus *p, const char *name, enum prometheus_type type,
                       const char *help);

/* A value of the family, with a suffix ("", "_bucket", …) and labels. */
void prometheus_value(struct prometheus *p, const char *suffix,
                      const struct prometheus_label *labels, size_t n_labels, uint64_t value);

/* The same in thousandths: 1500 is "1.5". */
void prometheus_milli(struct prometheus *p, const char *suffix,
                      const struct prometheus_label *labels, size_t n_labels, uint64_t milli);

/* Ends the text. */
void prometheus_end(struct prometheus *p);

#endif
