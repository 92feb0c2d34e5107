#include "store/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/xalloc.h"
#include "store/files.h"

#define VERSION  1
#define ID_BYTES 4

struct vault {
    unsigned char key[CRYPTO_KEY_BYTES]; // seals secrets of the database
    unsigned char id[ID_BYTES];
};

// What keys are derived for: changing one makes what was sealed unreadable.
static const char CONTEXT_SEAL[8] = {'o', '2', 'o', 's', 'e', 'a', 'l', '1'};
static const char CONTEXT_ID[8] = {'o', '2', 'o', 'k', 'e', 'y', 'i', 'd'};

static enum err check_file(int fd, const char *path, struct err_info *info)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_set(info, ERR_SYSTEM, "cannot read '%s': %s", path, strerrordesc_np(errno));
    if (!S_ISREG(st.st_mode) || st.st_size != CRYPTO_KEY_BYTES)
        return err_set(
            info, ERR_SYNTAX,
            "'%s' is not a key file of %d bytes: put the right one there, or set KEY_FILE", path,
            CRYPTO_KEY_BYTES);
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return err_set(info, ERR_SYNTAX, "the key file '%s' belongs to another user: chown it",
                       path);
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return err_set(info, ERR_SYNTAX,
                       "others may read the key file '%s' (mode %04o): run chmod 600 on it", path,
                       st.st_mode & 07777U);
    return ERR_OK;
}

/* ERR_NOT_FOUND: there is none. */
static enum err read_key(const char *path, unsigned char key[CRYPTO_KEY_BYTES],
                         struct err_info *info)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return ERR_NOT_FOUND;
    if (fd < 0)
        return files_fail("open the key file", path, info);
    enum err e = check_file(fd, path, info);
    if (e == ERR_OK && read(fd, key, CRYPTO_KEY_BYTES) != CRYPTO_KEY_BYTES)
        e = err_set(info, ERR_SYSTEM, "cannot read the key file '%s'", path);
    close(fd);
    return e;
}

/* Of two processes that make one at the same time, both use that of the first. */
static enum err make_key(const char *path, unsigned char key[CRYPTO_KEY_BYTES],
                         struct err_info *info)
{
    crypto_random(key, CRYPTO_KEY_BYTES);
    enum err e = files_write_new(path, str_of((const char *)key, CRYPTO_KEY_BYTES), info);
    return e == ERR_EXISTS ? read_key(path, key, info) : e;
}

enum err vault_open(const char *path, bool make, struct vault **ret, struct err_info *info)
{
    unsigned char master[CRYPTO_KEY_BYTES];
    enum err e = read_key(path, master, info);
    if (e == ERR_NOT_FOUND && make)
        e = make_key(path, master, info);
    else if (e == ERR_NOT_FOUND)
        e = err_set(info, ERR_SYNTAX,
                    "the key file '%s' is missing, and without it the stored keys cannot be read: "
                    "put it back, or set KEY_FILE",
                    path);
    struct vault *v = e == ERR_OK ? crypto_secret_new(sizeof(*v)) : NULL;
    if (v != NULL) {
        unsigned char id[CRYPTO_KEY_BYTES];
        crypto_derive(master, CONTEXT_SEAL, 1, v->key);
        crypto_derive(master, CONTEXT_ID, 1, id);
        memcpy(v->id, id, ID_BYTES);
        *ret = v;
    } else if (e == ERR_OK) {
        e = err_set(info, ERR_SYSTEM, "no memory that is safe for the key of '%s'", path);
    }
    crypto_wipe(master, sizeof(master));
    return e;
}

void vault_free(struct vault *v)
{
    crypto_secret_free(v);
}

#define BOUND_BYTES 128

static str bound_to(const struct vault *v, const struct vault_place *place, char out[BOUND_BYTES])
{
    size_t table = strlen(place->table), column = strlen(place->column);
    char *at = out;
    *at++ = VERSION;
    memcpy(at, v->id, ID_BYTES);
    at += ID_BYTES;
    for (int shift = 0; shift < 64; shift += 8)
        *at++ = (char)(place->row >> shift);
    memcpy(at, place->table, table + 1); // the zero keeps table and column apart
    at += table + 1;
    memcpy(at, place->column, column);
    return str_of(out, (size_t)(at - out) + column);
}

void vault_seal(const struct vault *v, const struct vault_place *place, str plain,
                unsigned char *out)
{
    char bound[BOUND_BYTES];
    out[0] = VERSION;
    memcpy(out + 1, v->id, ID_BYTES);
    crypto_seal(v->key, bound_to(v, place, bound), plain, out + 1 + ID_BYTES);
}

enum err vault_unseal(const struct vault *v, const struct vault_place *place, str sealed,
                      unsigned char *out, size_t *ret_len, struct err_info *info)
{
    char bound[BOUND_BYTES];
    if (sealed.len < VAULT_SEAL_BYTES || sealed.p[0] != VERSION)
        return err_set(info, ERR_SYNTAX, "row %llu of '%s' is damaged",
                       (unsigned long long)place->row, place->table);
    if (memcmp(sealed.p + 1, v->id, ID_BYTES) != 0)
        return err_set(info, ERR_SYNTAX, "'%s' %llu was sealed with another key file", place->table,
                       (unsigned long long)place->row);
    if (!crypto_unseal(v->key, bound_to(v, place, bound), str_skip(sealed, 1 + ID_BYTES), out))
        return err_set(info, ERR_SYNTAX, "row %llu of '%s' was changed by somebody",
                       (unsigned long long)place->row, place->table);
    *ret_len = sealed.len - VAULT_SEAL_BYTES;
    return ERR_OK;
}
