#include "proc.h"

#include "tool.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void proc_set_parse(struct proc_set *set, const char *text)
{
    set->n = 0;
    while (*text != '\0') {
        int used = 0;
        int pid = 0;
        if (sscanf(text, "%9d%n", &pid, &used) != 1 || pid <= 0 || set->n == PROC_MAX)
            die("'%s' is not a list of process ids", text);
        set->pids[set->n++] = pid;
        text += used;
        if (*text == ',')
            text++;
    }
}

static uint64_t task_cpu_ns(pid_t pid, const char *task)
{
    char path[128];
    uint64_t ns = 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", pid, task);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return 0; // the thread ended meanwhile
    if (fscanf(f, "%" SCNu64, &ns) != 1)
        ns = 0;
    fclose(f);
    return ns;
}

static uint64_t cpu_ns(pid_t pid)
{
    char path[64];
    uint64_t sum = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    DIR *d = opendir(path);
    if (d == NULL)
        die("process %d is gone", pid);
    const struct dirent *entry;
    while ((entry = readdir(d)) != NULL) {
        if (entry->d_name[0] != '.')
            sum += task_cpu_ns(pid, entry->d_name);
    }
    closedir(d);
    return sum;
}

static uint64_t rss_kib(pid_t pid)
{
    char path[64];
    char line[256];
    uint64_t kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        die("cannot read %s", path);
    while (fgets(line, sizeof(line), f) != NULL) {
        if (sscanf(line, "Rss: %" SCNu64, &kib) == 1)
            break;
    }
    fclose(f);
    return kib;
}

struct proc_cost proc_cost_read(const struct proc_set *set)
{
    struct proc_cost cost = {0};
    for (size_t i = 0; i < set->n; i++) {
        cost.cpu_ns += cpu_ns(set->pids[i]);
        cost.rss_kib += rss_kib(set->pids[i]);
    }
    return cost;
}
