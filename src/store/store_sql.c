#include "store/store_private.h"

#include "base/attr.h"

static const char *const SQL[SQL_STATEMENTS] = {
    [SQL_SET_NEXT_ID] = "INSERT INTO meta VALUES ('next_id', ?1) "
                        "ON CONFLICT DO UPDATE SET value = excluded.value",
    [SQL_SET_IMPORT] = "INSERT INTO meta VALUES ('import_id', ?1), ('import_at_ms', ?2), "
                       "('import_count', ?3) ON CONFLICT DO UPDATE SET value = excluded.value",
    [SQL_ADD_KEY] = "INSERT INTO keys VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [SQL_READ_KEYS] = "SELECT k.id, secret, base_url, name, old_id, added_ms, enabled, "
                      "state, cause, source, until_ms, doublings, last_check_ms, "
                      "last_used_ms, requests, failures, tokens, last_error, account, worked, "
                      "reason, since_ms FROM keys k LEFT JOIN lives l ON l.id = k.id ORDER BY k.id",
    [SQL_READ_BATCH] = "SELECT id FROM keys WHERE id >= ?1 AND batch = ?1 ORDER BY id",
    [SQL_DELETE_KEY] = "DELETE FROM keys WHERE id = ?1",
    [SQL_DELETE_KEY_DAY] = "DELETE FROM days WHERE day = ?1 AND key_id = ?2",
    [SQL_DELETE_KEY_MOVES] = "DELETE FROM moves WHERE key_id = ?1",
    [SQL_SET_ENABLED] = "UPDATE keys SET enabled = ?2 WHERE id = ?1",
    [SQL_SET_NAME] = "UPDATE keys SET name = ?2 WHERE id = ?1",
    // Nothing is written for a key that is gone.
    [SQL_WRITE_LIFE] =
        "INSERT INTO lives SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, "
        "?15, ?16 "
        "WHERE EXISTS (SELECT 1 FROM keys WHERE id = ?1) "
        "ON CONFLICT DO UPDATE SET state = excluded.state, cause = excluded.cause, "
        "source = excluded.source, until_ms = excluded.until_ms, doublings = excluded.doublings, "
        "last_check_ms = excluded.last_check_ms, last_used_ms = excluded.last_used_ms, "
        "requests = excluded.requests, failures = excluded.failures, tokens = excluded.tokens, "
        "last_error = excluded.last_error, account = excluded.account, worked = excluded.worked, "
        "reason = excluded.reason, since_ms = excluded.since_ms",
    [SQL_WRITE_DAY] = "INSERT INTO days VALUES (?1, ?2, ?3, ?4, ?5) "
                      "ON CONFLICT DO UPDATE SET success = success + excluded.success, "
                      "fail = fail + excluded.fail, tokens = tokens + excluded.tokens",
    // The days there are, by jumps from one to the next: 30 keys' rows and not 100,000 times 30.
    [SQL_LIST_DAYS] = "WITH RECURSIVE d(day) AS (SELECT min(day) FROM days UNION ALL "
                      "SELECT (SELECT min(day) FROM days WHERE day > d.day) FROM d "
                      "WHERE d.day IS NOT NULL) SELECT day FROM d WHERE day IS NOT NULL",
    [SQL_READ_DAYS] =
        "SELECT day, key_id, success, fail, tokens FROM (SELECT *, row_number() OVER (PARTITION "
        "BY day ORDER BY success + fail DESC, key_id) AS place FROM days WHERE day >= ?1) "
        "WHERE place <= ?2 ORDER BY day, place",
    [SQL_READ_KEY_DAYS] = "SELECT day, key_id, success, fail, tokens FROM days "
                          "WHERE day = ?1 AND key_id = ?2",
    [SQL_TRIM_DAYS] = "DELETE FROM days WHERE day < ?1",
    [SQL_WRITE_MOVE] = "INSERT INTO moves VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [SQL_TRIM_MOVES_OF] =
        "DELETE FROM moves WHERE key_id = ?1 AND host = ?2 AND id <= (SELECT id FROM moves "
        "WHERE key_id = ?1 AND host = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3)",
    [SQL_READ_MOVES] = "SELECT host, at_ms, from_state, to_state, cause, source, until_ms, reason "
                       "FROM moves WHERE key_id = ?1 AND host = ?2 ORDER BY id DESC",
    [SQL_READ_LAST_HOST_MOVES] =
        "SELECT host, at_ms, from_state, to_state, cause, source, until_ms, reason FROM moves "
        "WHERE id IN (SELECT max(id) FROM moves WHERE key_id = 0 GROUP BY host)",
    // Rows stand in order of time: the first that is young enough ends the search.
    [SQL_TRIM_MOVES] = "DELETE FROM moves WHERE id < coalesce((SELECT id FROM moves WHERE "
                       "at_ms >= ?1 ORDER BY id LIMIT 1), 9223372036854775807)",
    [SQL_FORGET_REFUSALS] = "DELETE FROM refusals",
    [SQL_DELETE_REFUSALS] = "DELETE FROM refusals WHERE key_id = ?1",
    [SQL_WRITE_REFUSAL] = "INSERT OR REPLACE INTO refusals SELECT ?1, ?2, ?3, ?4, ?5 "
                          "WHERE EXISTS (SELECT 1 FROM keys WHERE id = ?1)",
    [SQL_READ_REFUSALS] = "SELECT key_id, model, until_ms, doublings, signin FROM refusals",
    [SQL_TRIM_REFUSALS] = "DELETE FROM refusals WHERE until_ms < ?1",
    [SQL_READ_SERIES_STEP] = "SELECT at_s, requests, errors, tokens_in, tokens_out, first "
                             "FROM series WHERE grain = ?1 AND at_s = ?2",
    [SQL_WRITE_SERIES] = "INSERT OR REPLACE INTO series VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [SQL_READ_SERIES] = "SELECT at_s, requests, errors, tokens_in, tokens_out, first "
                        "FROM series WHERE grain = ?1 AND at_s >= ?2 ORDER BY at_s",
    [SQL_TRIM_SERIES] = "DELETE FROM series WHERE grain = ?1 AND at_s < ?2",
    [SQL_WRITE_TOP] = "INSERT INTO tops VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE "
                      "SET requests = requests + excluded.requests, "
                      "errors = errors + excluded.errors, tokens = tokens + excluded.tokens",
    // Two statements that name the same rows: those after the ?4 with the most requests.
    [SQL_FOLD_TOPS] =
        "INSERT INTO tops SELECT ?1, ?2, ?3, '', sum(requests), sum(errors), sum(tokens) FROM "
        "(SELECT * FROM tops WHERE grain = ?1 AND at_s = ?2 AND kind = ?3 AND name <> '' "
        "ORDER BY requests DESC, name LIMIT -1 OFFSET ?4) GROUP BY kind "
        "ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, "
        "errors = errors + excluded.errors, tokens = tokens + excluded.tokens",
    [SQL_DROP_FOLDED] =
        "DELETE FROM tops WHERE grain = ?1 AND at_s = ?2 AND kind = ?3 AND name IN "
        "(SELECT name FROM tops WHERE grain = ?1 AND at_s = ?2 AND kind = ?3 AND name <> '' "
        "ORDER BY requests DESC, name LIMIT -1 OFFSET ?4)",
    [SQL_READ_TOPS] = "SELECT name, sum(requests), sum(errors), sum(tokens) FROM tops "
                      "WHERE grain = ?1 AND at_s >= ?2 AND kind = ?3 "
                      "GROUP BY name ORDER BY 2 DESC, name LIMIT ?4",
    [SQL_TRIM_TOPS] = "DELETE FROM tops WHERE grain = ?1 AND at_s < ?2",
    [SQL_DELETE_TRIES] = "DELETE FROM tries",
    [SQL_WRITE_TRY] = "INSERT OR REPLACE INTO tries VALUES (?1, ?2, ?3, ?4, ?5)",
    [SQL_READ_TRIES] = "SELECT kind, origin, last_ms, wrong, spent_ms FROM tries LIMIT ?1",
};

enum err store_prepare(struct store *s, struct err_info *info)
{
    for (size_t i = 0; i < COUNT_OF(SQL); i++) {
        enum err e = sqlite_prepare(s->db, SQL[i], &s->statements[i], info);
        if (e == ERR_SYSTEM) // a table or column is not there
            e = store_advise(ERR_SYNTAX, info);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}
