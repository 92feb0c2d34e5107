/*
 * control - the process: workers, signals, reload, drain
 *
 * The main thread starts the workers and then only waits for signals. SIGTERM and SIGINT drain
 * (a second one ends at once), SIGHUP reloads.
 *
 * Threads: the main thread.
 */
#ifndef APP_CONTROL_H
#define APP_CONTROL_H

#include "app/snapshot.h"

/*
 * Serves until a signal ends it; returns the process's exit status. Takes the reference to
 * `snapshot`. A start that fails says why on standard error, in one line.
 */
int control_run(struct snapshot *snapshot);

#endif
