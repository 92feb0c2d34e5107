/*
 * main - options, start, exit status
 */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "app/control.h"
#include "app/healthcheck.h"
#include "app/snapshot.h"
#include "app/transfer.h"
#include "base/buf.h"
#include "base/crypto.h"
#include "core/config.h"

#define EXIT_USAGE  64
#define EXIT_CONFIG 78

static int print_help(void)
{
    struct buf text;
    buf_init(&text, 65536);
    config_help(&text);
    printf(
        "ollama2openai %s: the OpenAI API in front of Ollama\n\n"
        "usage: ollama2openai [--help | --version | --check-config | --healthcheck |\n"
        "                      --import FILE | --export FILE]\n\n"
        "  --check-config  say every setting and where it came from, then exit; 78 if one is "
        "bad\n"
        "  --healthcheck   ask the server that runs with these settings how it is; 1 if it is not "
        "well\n"
        "  --import FILE   add the keys of a file (one per line, keys.json, channels of other "
        "gateways)\n"
        "  --export FILE   write all keys in plain into a new file, one URL|key per line\n\n"
        "Settings come from the environment, then from .env in the working directory:\n\n%.*s",
        O2O_VERSION, STR_ARG(buf_str(&text)));
    buf_release(&text);
    return 0;
}

static void print_setting(void *arg, str name, str value, str origin)
{
    (void)arg;
    printf("%.*s=%.*s  (%.*s)\n", STR_ARG(name), STR_ARG(value), STR_ARG(origin));
}

static int check_config(const struct snapshot *snapshot)
{
    config_describe(snapshot->config, print_setting, NULL);
    return 0;
}

/* Keys are in our memory: it is not to be found in a core file, or read by another process. */
static void close_memory(void)
{
    const struct rlimit none = {0};
    (void)setrlimit(RLIMIT_CORE, &none);
#ifndef O2O_SANITIZED // the leak checker reads it from another process
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

int main(int argc, char **argv)
{
    const char *option = argc > 1 ? argv[1] : "";
    bool check = strcmp(option, "--check-config") == 0;
    if (argc == 2 && strcmp(option, "--version") == 0)
        return printf("ollama2openai %s\n", O2O_VERSION) < 0;
    if (argc == 2 && strcmp(option, "--help") == 0)
        return print_help();
    bool ask = strcmp(option, "--healthcheck") == 0;
    bool import = argc == 3 && strcmp(option, "--import") == 0;
    bool export = argc == 3 && strcmp(option, "--export") == 0;
    if (argc == 2 && (strcmp(option, "--import") == 0 || strcmp(option, "--export") == 0)) {
        fprintf(stderr, "ollama2openai: %s needs a file\n", option);
        return EXIT_USAGE;
    }
    if (!import && !export && (argc > 2 || (argc == 2 && !check && !ask))) {
        fprintf(stderr, "ollama2openai: unknown option '%s'; see --help\n", argv[argc - 1]);
        return EXIT_USAGE;
    }
    if (crypto_init() != ERR_OK) {
        fputs("ollama2openai: the system gives no random numbers\n", stderr);
        return 1;
    }

    close_memory();
    struct snapshot *snapshot;
    struct err_info info = {0};
    if (snapshot_load(&snapshot, &info) != ERR_OK) {
        fprintf(stderr, "ollama2openai: %s\n", info.text);
        return EXIT_CONFIG;
    }
    if (argc == 1)
        return control_run(snapshot);
    int status = check    ? check_config(snapshot)
                 : import ? transfer_import(snapshot->config, argv[2])
                 : export ? transfer_export(snapshot->config, argv[2])
                          : healthcheck_run(snapshot);
    snapshot_release(snapshot);
    return status;
}
