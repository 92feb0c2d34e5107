#include "app/banner.h"

#include <stdio.h>

#include "app/upstream.h"
#include "core/address.h"

static void warn(const char *text)
{
    printf("  warning: %s\n", text);
}

static void warn_of_settings(const struct config *config, bool loopback)
{
    if (config->api_tokens.n == 0 && !loopback)
        warn("API_TOKEN is not set: whoever reaches this address can use it");
    if (config->admin_password.is_default)
        warn("ADMIN_PASSWORD is the built-in default, which works on this machine only; set it, "
             "behind a proxy in any case");
    else if (config->admin_password.is_short)
        warn("ADMIN_PASSWORD has fewer than 8 characters; set ADMIN_PASSWORD to a longer one");
    if (config->ignored.len > 0)
        printf("  warning: these settings of the older program mean nothing here: %.*s\n",
               STR_ARG(config->ignored));
    if (config->unknown.len > 0)
        printf("  warning: .env has names that are no settings: %.*s\n", STR_ARG(config->unknown));
}

void banner_print(const struct config *config, const struct sockaddr_storage *bound,
                  size_t n_workers, str notes)
{
    const struct sockaddr *addr = (const struct sockaddr *)bound;
    const struct url *upstream = upstream_url(config);
    const char *scheme = config->tls_cert.len > 0 ? "https" : "http";
    char text[ADDRESS_TEXT_BYTES];
    address_text(addr, text);
    const char *open = addr->sa_family == AF_INET6 ? "[" : "";
    const char *close = addr->sa_family == AF_INET6 ? "]" : "";
    bool loopback = address_is_loopback(addr);

    printf("ollama2openai %s listens on %s://%s%s%s:%u with %zu worker%s\n", O2O_VERSION, scheme,
           open, text, close, config->port, n_workers, n_workers == 1 ? "" : "s");
    printf("  OpenAI base URL   %s://%s:%u/v1\n", scheme, loopback ? "127.0.0.1" : "<this host>",
           config->port);
    printf("  admin page        %s://%s:%u/admin\n", scheme, loopback ? "127.0.0.1" : "<this host>",
           config->port);
    printf("  health            %s://%s:%u/health\n", scheme,
           loopback ? "127.0.0.1" : "<this host>", config->port);
    printf("  upstream          %s://%.*s%.*s%s\n", upstream->tls ? "https" : "http",
           STR_ARG(upstream->authority), STR_ARG(upstream->path),
           config->upstream_set ? "" : " (OLLAMA_BASE_URL is not set)");
    warn_of_settings(config, loopback);
    for (str line; notes.len > 0;) {
        str_cut(notes, '\n', &line, &notes);
        printf("  warning: %.*s\n", STR_ARG(line));
    }
    fflush(stdout);
}
