#include "store/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/xalloc.h"

#define READ_BYTES ((size_t)64 << 10)

/* The folder that `path` is in; to be freed. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? xstrdup(".") : xstrdup(path);
    if (slash != NULL)
        folder[slash == path ? 1 : slash - path] = '\0';
    return folder;
}

/* Says whether to change the mode or the owner, of the file or of the folder it is in. */
static enum err fail_by_rights(const char *what, const char *path, int cause, struct err_info *info)
{
    struct stat st;
    char *folder = folder_of(path);
    bool is_there = stat(path, &st) == 0;
    bool is_ours = (is_there || stat(folder, &st) == 0) && st.st_uid == geteuid();
    if (is_ours)
        err_set(info, ERR_SYSTEM, "cannot %s '%s': %s; run chmod u+rwX on '%s'", what, path,
                strerrordesc_np(cause), is_there ? path : folder);
    else
        err_set(info, ERR_SYSTEM, "cannot %s '%s': %s; user %u, who runs this, must own it (chown)",
                what, path, strerrordesc_np(cause), (unsigned)geteuid());
    free(folder);
    return ERR_SYSTEM;
}

enum err files_fail(const char *what, const char *path, struct err_info *info)
{
    int cause = errno;
    enum err e = cause == ENOSPC || cause == EFBIG || cause == EDQUOT ? ERR_FULL
                 : cause == EEXIST                                    ? ERR_EXISTS
                                                                      : ERR_SYSTEM;
    const char *advice = "";
    if (cause == EACCES || cause == EPERM)
        return fail_by_rights(what, path, cause, info);
    if (cause == EROFS)
        advice = "; mount it so that it can be written to";
    else if (cause == ENOENT)
        advice = "; make the folder it is in first";
    return err_set(info, e, "cannot %s '%s': %s%s", what, path, strerrordesc_np(cause), advice);
}

/* Whether we may do all that we want with it: a later failure would say less. */
static enum err check_rights(const char *path, int mode, struct err_info *info)
{
    if (faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0)
        return ERR_OK;
    return files_fail("read and write", path, info);
}

enum err files_make_folder(const char *path, struct err_info *info)
{
    struct stat st;
    if (mkdir(path, S_IRWXU) == 0)
        return ERR_OK;
    if (errno != EEXIST)
        return files_fail("make the folder", path, info);
    bool is_there = stat(path, &st) == 0; // it is not where a link leads nowhere
    if (!is_there && errno != ENOENT)
        return files_fail("look at", path, info);
    if (!is_there || !S_ISDIR(st.st_mode))
        return err_set(info, ERR_SYSTEM, "'%s' is not a folder: move it away, or set DATA_DIR",
                       path);
    return check_rights(path, R_OK | W_OK | X_OK, info);
}

enum err files_read(const char *path, size_t max_bytes, struct buf *ret, struct err_info *info)
{
    buf_init(ret, max_bytes + 1); // so that one byte too many is seen
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(info, errno == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM, "cannot open '%s': %s",
                       path, strerrordesc_np(errno));
    enum err e = ERR_OK;
    ssize_t n = 1;
    while (e == ERR_OK && n > 0) {
        size_t room = ret->max - ret->len < READ_BYTES ? ret->max - ret->len : READ_BYTES;
        if (room == 0 || !buf_reserve(ret, room)) {
            e = err_set(info, ERR_TOO_LARGE, "'%s' is larger than %zu bytes", path, max_bytes);
            break;
        }
        n = read(fd, ret->p + ret->len, room);
        if (n < 0)
            e = err_set(info, ERR_SYSTEM, "cannot read '%s': %s", path, strerrordesc_np(errno));
        else
            ret->len += (size_t)n;
    }
    close(fd);
    return e;
}

static enum err write_all(int fd, const char *path, str content, struct err_info *info)
{
    while (content.len > 0) {
        ssize_t n = write(fd, content.p, content.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return files_fail("write", path, info);
        content = str_skip(content, (size_t)n);
    }
    return fsync(fd) == 0 ? ERR_OK : files_fail("write", path, info);
}

static enum err sync_path(const char *path, int flags, struct err_info *info)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0)
        return files_fail("open", path, info);
    enum err e = fsync(fd) == 0 ? ERR_OK : files_fail("write", path, info);
    close(fd);
    return e;
}

static enum err sync_folder_of(const char *path, struct err_info *info)
{
    char *folder = folder_of(path);
    enum err e = sync_path(folder, O_DIRECTORY, info);
    free(folder);
    return e;
}

/* The name is new to the folder, or errno is EEXIST. */
static int rename_new(const char *from, const char *to)
{
    int rc = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
    if (rc == 0 || errno == EEXIST)
        return rc;
    // File systems without that flag: nobody else makes this file, but for a second first start.
    if (access(to, F_OK) == 0) {
        errno = EEXIST;
        return -1;
    }
    return rename(from, to);
}

enum err files_write_new(const char *path, str content, struct err_info *info)
{
    size_t len = strlen(path);
    char *temporary = xmalloc(len + 16);
    memcpy(temporary, path, len);
    memcpy(temporary + len, ".new-", 5);
    crypto_random_text(temporary + len + 5, 8);
    temporary[len + 13] = '\0';

    enum err e = ERR_OK;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0) {
        e = files_fail("make", path, info);
    } else {
        e = write_all(fd, path, content, info);
        close(fd);
        if (e == ERR_OK && rename_new(temporary, path) != 0)
            e = files_fail("make", path, info);
        if (e != ERR_OK)
            unlink(temporary);
    }
    free(temporary);
    return e == ERR_OK ? sync_folder_of(path, info) : e;
}

enum err files_look(const char *path, int64_t *ret_size, struct err_info *info)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        if (errno != ENOENT)
            return files_fail("look at", path, info);
        *ret_size = 0;
        return ERR_OK;
    }
    if (!S_ISREG(st.st_mode))
        return err_set(info, ERR_SYSTEM, "'%s' is not a file: move it away", path);
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        (void)chmod(path, S_IRUSR | S_IWUSR); // fails on another's file
    *ret_size = st.st_size;
    return check_rights(path, R_OK | W_OK, info);
}

enum err files_make_empty(const char *path, struct err_info *info)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0)
        return files_fail("make", path, info);
    close(fd);
    return ERR_OK;
}

enum err files_sync(const char *path, struct err_info *info)
{
    enum err e = sync_path(path, 0, info);
    return e == ERR_OK ? sync_folder_of(path, info) : e;
}

enum err files_rename(const char *from, const char *to, struct err_info *info)
{
    if (rename(from, to) != 0)
        return files_fail("rename", from, info);
    return sync_folder_of(to, info);
}

void files_remove_like(const char *folder, str head, str tail)
{
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is ours alone
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        str name = str_z(entry->d_name);
        if (name.len >= head.len + tail.len && str_starts(name, head) && str_ends(name, tail))
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
}
