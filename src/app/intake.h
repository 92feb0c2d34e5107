/*
 * intake - files of keys into the keeper: --import, and what the older program left
 *
 * All keys of one intake are stored in one transaction, as a batch.
 *
 * Threads: the main thread, before the keeper is started.
 */
#ifndef APP_INTAKE_H
#define APP_INTAKE_H

#include <stddef.h>

#include "app/keeper.h"
#include "base/buf.h"
#include "codec/keyfile.h"

#define INTAKE_FILE_MAX ((size_t)64 << 20) // bytes of a file

/*
 * For struct keytext_options: refuses addresses, written as such, that no upstream may have. `arg`
 * is the struct address_policy. Names are judged when they are connected to.
 */
const char *intake_refusal(void *arg, const struct url *url);

/* The text of a base URL, in `a`. */
str intake_url_text(struct arena *a, const struct url *url);

/* A key of a file as the pool takes it, its texts in `a`; the URL is borrowed. */
struct key_spec intake_spec(struct arena *a, const struct keyfile_key *key, int64_t now_ms);

/* Who is told of each thing in a file that is not taken. */
struct intake_sink {
    void (*on_skip)(void *arg, const struct keyfile_skip *skip);
    void *arg;
};

struct intake_result {
    enum keyfile_format format;
    size_t added;
    size_t duplicates;
    size_t skipped;
};

/*
 * Reads the file `path` and adds its keys. Durable.
 *
 * ERR_SYNTAX, ERR_RANGE, ERR_TOO_LARGE  the file is none that holds keys, or too large
 * other                                 as keeper_add() has them; nothing was added
 */
MUST_CHECK enum err intake_file(struct keeper *k, const struct config *config, const char *path,
                                const struct intake_sink *sink, struct intake_result *ret,
                                struct err_info *info);

/*
 * On the first start takes over the keys in DATA_DIR's keys.json and channels.json and renames the
 * two to ….imported, mode 0600. Lines for the banner go to `notes`.
 *
 * An error means that nothing was taken and the files are as they were; `info` says what to do.
 */
MUST_CHECK enum err intake_first_start(struct keeper *k, const struct config *config,
                                       struct buf *notes, struct err_info *info);

#endif
