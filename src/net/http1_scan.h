/*
 * http1_scan - finds the end of a head, line by line, and holds it to its limits
 *
 * Works on the bytes as they come, before anything else reads them, so that a limit is hit at the
 * same byte however the input is cut. What is left behind is a head whose lines all end with CR LF
 * and hold neither CR nor LF otherwise. For http1.c, and for nobody else.
 */
#ifndef NET_HTTP1_SCAN_H
#define NET_HTTP1_SCAN_H

#include "net/http1.h"
#include "net/http1_check.h"

/* How much of a slice belongs to the head, and what is wrong with what follows. */
struct http1_scan {
    size_t n;
    bool whole; // the empty line is in
    struct http1_fault fault;
};

/* Counts lines and bytes in `h`. */
struct http1_scan http1_scan_head(struct http1 *h, str data);

#endif
