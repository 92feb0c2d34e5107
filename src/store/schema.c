#include "store/schema.h"

#include <stdio.h>

#include "base/attr.h"

/*
 * Keys have no index but their id: the pool finds duplicates in memory, and 100,000 inserts take
 * a third of the time. Lives stand apart, since they change with use and secrets do not.
 */
static const char STEP_1[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE keys ("
    "  id INTEGER PRIMARY KEY,"
    "  secret BLOB NOT NULL," // sealed, see vault.h
    "  base_url TEXT NOT NULL,"
    "  name TEXT NOT NULL,"
    "  old_id TEXT NOT NULL,"
    "  added_ms INTEGER NOT NULL," // times: wall clock since 1970-01-01 UTC
    "  enabled INTEGER NOT NULL,"
    "  batch INTEGER NOT NULL" // id of the first key of its import; 0: none
    ") STRICT;"
    "CREATE TABLE lives ("
    "  id INTEGER PRIMARY KEY REFERENCES keys ON DELETE CASCADE,"
    "  state INTEGER NOT NULL,"
    "  cause INTEGER NOT NULL,"
    "  source INTEGER NOT NULL,"
    "  until_ms INTEGER NOT NULL,"
    "  doublings INTEGER NOT NULL,"
    "  last_check_ms INTEGER NOT NULL,"
    "  last_used_ms INTEGER NOT NULL,"
    "  requests INTEGER NOT NULL,"
    "  failures INTEGER NOT NULL,"
    "  tokens INTEGER NOT NULL,"
    "  last_error TEXT NOT NULL,"
    "  account TEXT NOT NULL,"
    "  worked INTEGER NOT NULL"
    ") STRICT;"
    "CREATE TABLE days ("
    "  day INTEGER NOT NULL," // since 1970-01-01 UTC
    "  key_id INTEGER NOT NULL,"
    "  success INTEGER NOT NULL,"
    "  fail INTEGER NOT NULL,"
    "  tokens INTEGER NOT NULL,"
    "  PRIMARY KEY (day, key_id)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE moves ("
    "  id INTEGER PRIMARY KEY,"
    "  key_id INTEGER NOT NULL," // 0: of a host
    "  host TEXT NOT NULL,"      // empty: of a key
    "  at_ms INTEGER NOT NULL,"
    "  from_state INTEGER NOT NULL,"
    "  to_state INTEGER NOT NULL,"
    "  cause INTEGER NOT NULL,"
    "  source INTEGER NOT NULL,"
    "  until_ms INTEGER NOT NULL,"
    "  reason TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX moves_of ON moves (key_id, host, id);";

/*
 * What was counted, by time: a row for each minute, hour and day (`grain`) in which there was
 * something, and beside it the names there was most of. Sums of a minute are added to all three.
 */
static const char STEP_2[] =
    "CREATE TABLE series ("
    "  grain INTEGER NOT NULL,"
    "  at_s INTEGER NOT NULL," // its beginning, since 1970-01-01 UTC
    "  requests INTEGER NOT NULL,"
    "  errors INTEGER NOT NULL,"
    "  tokens_in INTEGER NOT NULL,"
    "  tokens_out INTEGER NOT NULL,"
    "  first BLOB NOT NULL," // counts of the buckets of times, 8 bytes each, low ones first
    "  PRIMARY KEY (grain, at_s)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE tops ("
    "  grain INTEGER NOT NULL,"
    "  at_s INTEGER NOT NULL,"
    "  kind INTEGER NOT NULL,"
    "  name TEXT NOT NULL," // empty: all others
    "  requests INTEGER NOT NULL,"
    "  errors INTEGER NOT NULL,"
    "  tokens INTEGER NOT NULL,"
    "  PRIMARY KEY (grain, at_s, kind, name)"
    ") STRICT, WITHOUT ROWID;";

/* Why and since when a key is in its state; and who has tried passwords, see core/throttle.h. */
static const char STEP_3[] = "ALTER TABLE lives ADD COLUMN reason TEXT NOT NULL DEFAULT '';"
                             "ALTER TABLE lives ADD COLUMN since_ms INTEGER NOT NULL DEFAULT 0;"
                             "CREATE TABLE tries ("
                             "  kind INTEGER NOT NULL,"
                             "  origin BLOB NOT NULL," // 16 bytes: IPv6, or IPv4 as mapped into it
                             "  last_ms INTEGER NOT NULL,"
                             "  wrong INTEGER NOT NULL,"
                             "  spent_ms INTEGER NOT NULL,"
                             "  PRIMARY KEY (kind, origin)"
                             ") STRICT, WITHOUT ROWID;";

/* Which models a key may not use for a while. */
static const char STEP_4[] = "CREATE TABLE refusals ("
                             "  key_id INTEGER NOT NULL REFERENCES keys ON DELETE CASCADE,"
                             "  model TEXT NOT NULL,"
                             "  until_ms INTEGER NOT NULL,"
                             "  doublings INTEGER NOT NULL,"
                             "  signin INTEGER NOT NULL,"
                             "  PRIMARY KEY (key_id, model)"
                             ") STRICT, WITHOUT ROWID;";

static const char *const STEPS[] = {STEP_1, STEP_2, STEP_3, STEP_4};

_Static_assert(COUNT_OF(STEPS) == SCHEMA_VERSION, "a step for each version");

enum err schema_look(struct sqlite *db, const char *path, bool *ret_new, bool *ret_readable,
                     struct err_info *info)
{
    int64_t application = 0, version = 0, objects = 0;
    enum err e = sqlite_ask(db, "PRAGMA application_id", &application, info);
    if (e == ERR_OK)
        e = sqlite_ask(db, "PRAGMA user_version", &version, info);
    if (e == ERR_OK)
        e = sqlite_ask(db, "SELECT count(*) FROM sqlite_schema", &objects, info);
    if (e != ERR_OK)
        return e;
    *ret_readable = true;
    bool empty = application == 0 && version == 0 && objects == 0;
    if (!empty && application != SCHEMA_APPLICATION)
        return err_set(info, ERR_SYNTAX,
                       "'%s' is the database of another program: move it away, or set DATA_DIR",
                       path);
    if (version > SCHEMA_VERSION)
        return err_set(info, ERR_SYNTAX,
                       "'%s' is of a newer version of this program (schema %lld, this one knows "
                       "%d): use that version, or a backup made before",
                       path, (long long)version, SCHEMA_VERSION);
    if (!empty && version < 1)
        return err_set(info, ERR_SYNTAX, "'%s' is damaged: put a backup in its place", path);
    *ret_new = empty;
    return ERR_OK;
}

enum err schema_update(struct sqlite *db, struct err_info *info)
{
    int64_t version = 0;
    enum err e = sqlite_ask(db, "PRAGMA user_version", &version, info);
    for (size_t i = (size_t)version; e == ERR_OK && i < COUNT_OF(STEPS); i++)
        e = sqlite_exec(db, STEPS[i], info);
    if (e != ERR_OK || version == SCHEMA_VERSION)
        return e;
    char mark[96];
    snprintf(mark, sizeof(mark), "PRAGMA application_id = %d; PRAGMA user_version = %d;",
             SCHEMA_APPLICATION, SCHEMA_VERSION);
    return sqlite_exec(db, mark, info);
}
