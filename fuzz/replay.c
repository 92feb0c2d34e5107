/*
 * replay - runs a fuzz target over the files of a folder, in builds without libFuzzer
 *
 * Usage: fuzz_<name> FOLDER…   Every file is fed once; a missing folder is an error, so that a
 * corpus cannot vanish unnoticed.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    struct stat st;
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        perror(path);
        return 1;
    }
    if (fstat(fileno(f), &st) != 0) {
        perror(path);
        fclose(f);
        return 1;
    }
    // Exactly as large as the input, so that ASan sees a read past its end.
    uint8_t *data = malloc((size_t)st.st_size + (st.st_size == 0));
    size_t n = data != NULL ? fread(data, 1, (size_t)st.st_size, f) : 0;
    fclose(f);
    if (data == NULL || n != (size_t)st.st_size) {
        perror(path);
        free(data);
        return 1;
    }
    LLVMFuzzerTestOneInput(data, n);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = argc < 2;
    unsigned files = 0;
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (dir == NULL) {
            perror(argv[i]);
            return 1;
        }
        for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
            char path[4096];
            if (e->d_name[0] == '.')
                continue;
            snprintf(path, sizeof(path), "%s/%s", argv[i], e->d_name);
            failed |= replay_file(path);
            files++;
        }
        closedir(dir);
    }
    printf("replayed %u files\n", files);
    return failed || files == 0;
}
