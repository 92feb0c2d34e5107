/*
 * ui - the admin page's files, compiled into the program
 *
 * The build bundles web/ and writes the files, each plain and compressed, as the table UI_FILES
 * (see web/build.mjs). Scripts and styles have a hash of their content in their names and may be
 * kept for ever; the page itself is asked for again each time, and answered 304 while it is the
 * same. Every place of the page ("/admin/keys/17") is the same file: its script reads the path.
 *
 * Threads: any; nothing changes.
 */
#ifndef APP_UI_H
#define APP_UI_H

#include <stdbool.h>
#include <stddef.h>

#include "app/request.h"
#include "base/str.h"
#include "net/http1.h"

/* One file as the build wrote it. */
struct ui_file {
    const char *path; // "/admin/assets/app-4F2A9C01.js"
    const char *type; // Content-Type
    const char *tag;  // ETag of the plain bytes, in its quotes
    const char *gzip_tag;
    bool hashed; // the name changes with the content
    const unsigned char *plain;
    size_t plain_bytes;
    const unsigned char *gzip;
    size_t gzip_bytes;
};

extern const struct ui_file UI_FILES[];
extern const size_t UI_FILES_COUNT;

/*
 * The headers that everything below /admin has (CSP and the like).
 * The policy allows our own scripts and styles, as files, and nothing else.
 */
extern const struct http1_field UI_SECURITY_FIELDS[];
extern const size_t UI_SECURITY_COUNT;

/* The further one that has its place in answers by TLS alone. */
extern const struct http1_field UI_TLS_FIELD;

#define UI_FIELDS_MAX 16

/* An answer; its strings live as long as the program. */
struct ui_answer {
    int status; // 200 or 304
    struct http1_field fields[UI_FIELDS_MAX];
    size_t n_fields;
    str body;
};

/* What the caller's head says about the copy it wants; empty where it says nothing. */
struct ui_wish {
    str accept_encoding;
    str if_none_match;
};

/* Finds the file of a cleaned path; false: the page has none there. */
bool ui_find(str path, const struct ui_wish *wish, struct ui_answer *ret);

/* Answers a GET or HEAD of `path`; false, without an answer, if the page has no such file. */
bool ui_reply(struct request *r, str path);

#endif
