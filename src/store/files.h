/*
 * files - files and folders that are there whole or not at all, and for nobody else
 *
 * Threads: any.
 */
#ifndef STORE_FILES_H
#define STORE_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Says that we cannot do `what` ("make", "open") with `path`, why (errno), and what helps. */
enum err files_fail(const char *what, const char *path, struct err_info *info);

/* Makes the folder `path` (0700) if it is not there; one that is must let us read and write.
 * ERR_SYSTEM. */
MUST_CHECK enum err files_make_folder(const char *path, struct err_info *info);

/*
 * Reads a file whole into a new buffer, which the caller releases, after a failure too.
 *
 * ERR_NOT_FOUND  there is none
 * ERR_TOO_LARGE  it has more than `max_bytes`
 * ERR_SYSTEM
 */
MUST_CHECK enum err files_read(const char *path, size_t max_bytes, struct buf *ret,
                               struct err_info *info);

/*
 * Makes `path`, mode 0600, with `content`: written to a temporary file beside it, synced, renamed.
 *
 * ERR_EXISTS  it is there already, and stays as it is
 * ERR_FULL, ERR_SYSTEM
 */
MUST_CHECK enum err files_write_new(const char *path, str content, struct err_info *info);

/*
 * The size of the regular file `path`, and 0 if there is none; takes from an existing one the
 * rights that others have. ERR_SYSTEM also if we may not read and write it.
 */
MUST_CHECK enum err files_look(const char *path, int64_t *ret_size, struct err_info *info);

/* Makes an empty file, mode 0600. ERR_EXISTS, ERR_FULL, ERR_SYSTEM. */
MUST_CHECK enum err files_make_empty(const char *path, struct err_info *info);

/* Makes what happened to `path` last, and to its name, survive a loss of power. */
MUST_CHECK enum err files_sync(const char *path, struct err_info *info);

/* Removes the files of the folder whose names begin and end so; those that cannot be are left. */
void files_remove_like(const char *folder, str head, str tail);

/* Renames, and makes it survive. */
MUST_CHECK enum err files_rename(const char *from, const char *to, struct err_info *info);

#endif
