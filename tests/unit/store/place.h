/*
 * place - a folder of its own for each test of the store, gone afterwards
 */
#ifndef TESTS_STORE_PLACE_H
#define TESTS_STORE_PLACE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "store/sqlite.h"
#include "store/store.h"
#include "unit.h"

struct place {
    char *dir;
    char *db;
    char *key;
};

static inline int place_setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    p->dir = strdup("/tmp/o2o-store-XXXXXX");
    if (crypto_init() != ERR_OK || mkdtemp(p->dir) == NULL ||
        asprintf(&p->db, "%s/ollama2openai.db", p->dir) < 0 ||
        asprintf(&p->key, "%s/secret.key", p->dir) < 0)
        return -1;
    *state = p;
    return 0;
}

static inline int place_teardown(void **state)
{
    struct place *p = *state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", p->dir);
    int rc = system(command); // NOLINT(cert-env33-c): a name of mkdtemp's
    free(p->dir);
    free(p->db);
    free(p->key);
    free(p);
    return rc;
}

static inline enum err place_try(const struct place *p, struct store **ret, struct err_info *info)
{
    return store_open(&(struct store_options){.dir = str_z(p->dir), .key_file = str_z(p->key)}, ret,
                      info);
}

static inline struct store *place_open(const struct place *p)
{
    struct store *s = NULL;
    struct err_info info = {0};
    if (place_try(p, &s, &info) != ERR_OK)
        fail_msg("%s", info.text);
    return s;
}

/* Runs SQL on a file that no store has open. */
static inline void place_sql(const char *path, const char *sql)
{
    struct sqlite *db;
    struct err_info info = {0};
    if (sqlite_open(path, &db, &info) != ERR_OK || sqlite_exec(db, sql, &info) != ERR_OK)
        fail_msg("%s", info.text);
    sqlite_close(db);
}

#define PLACE_TEST(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

#endif
