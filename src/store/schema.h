/*
 * schema - the tables, and how a database of an earlier version comes up to date
 *
 * The file says whose it is (application_id) and which version (user_version). Each version is one
 * step of SQL on the one before; a step that was released is never edited.
 *
 * Threads: as the connection.
 */
#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H

#include <stdbool.h>

#include "store/sqlite.h"

#define SCHEMA_APPLICATION 0x6f326f31 // application_id of our files: "o2o1" in ASCII

enum { SCHEMA_VERSION = 4 };

/*
 * Reads whose file it is, and changes nothing. `*ret_readable` is set once it is known to be a
 * database that can be read.
 *
 * ERR_OK      ours, of a version up to SCHEMA_VERSION, or (`*ret_new`) it holds nothing
 * ERR_SYNTAX  not ours, or of a newer version; `info` says what to do
 * other       as the connection says
 */
MUST_CHECK enum err schema_look(struct sqlite *db, const char *path, bool *ret_new,
                                bool *ret_readable, struct err_info *info);

/* Runs the steps that are missing. In a transaction of the caller's. */
MUST_CHECK enum err schema_update(struct sqlite *db, struct err_info *info);

#endif
