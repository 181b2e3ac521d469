/* layer 0: CPU affinity, and the CPU quota of cgroup v2 (cpu.max) and v1 (cpu.cfs_quota_us). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cpu.h"

#include "memory.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#define PATH_BYTES 4096          /* longer ones no system call takes */
#define LINE_BYTES (PATH_BYTES + 512)    /* the hierarchy and the controllers come before the path */

static int affinity(void)
{
#ifdef HAVE_SCHED_GETAFFINITY
	/* Machines may have more CPUs than a cpu_set_t: the system says EINVAL until the set is large enough. */
	for (size_t cpus = CPU_SETSIZE; cpus <= (size_t)1 << 20; cpus *= 2) {
		cpu_set_t *set = CPU_ALLOC(cpus);
		size_t size = CPU_ALLOC_SIZE(cpus);
		int n = 0;

		if (!set)
			break;
		if (sched_getaffinity(0, size, set) == 0)
			n = CPU_COUNT_S(size, set);
		CPU_FREE(set);
		if (n > 0)
			return n;
	}
#endif
#ifdef _SC_NPROCESSORS_ONLN
	long online = sysconf(_SC_NPROCESSORS_ONLN);

	if (online > 0)
		return online > INT_MAX ? INT_MAX : (int)online;
#endif
	return 1;
}

/* On the heap: it is too much for a small stack. */
struct search {
	size_t length;                   /* of the folder's path: the name of a file comes and goes behind it */
	char path[PATH_BYTES];
	char line[LINE_BYTES];           /* of the list of cgroups */
};

static bool read_line(struct search *s, const char *name, char *line, int size)
{
	size_t room = sizeof s->path - s->length;
	FILE *file = NULL;
	bool ok;

	if (snprintf(s->path + s->length, room, "/%s", name) < (int)room)
		file = fopen(s->path, "re");
	ok = file && fgets(line, size, file);
	if (file)
		fclose(file);
	return ok;
}

static int cpus_of(long long quota, long long period)
{
	long long cpus;

	if (quota <= 0 || period <= 0)
		return INT_MAX;
	cpus = quota / period + (quota % period != 0);
	return cpus > INT_MAX ? INT_MAX : (int)cpus;
}

static int quota_v2(struct search *s)
{
	char line[64];
	long long quota, period;

	if (!read_line(s, "cpu.max", line, sizeof line) ||
	    sscanf(line, "%lld %lld", &quota, &period) != 2)         /* "max 100000": no limit */
		return INT_MAX;
	return cpus_of(quota, period);
}

static int quota_v1(struct search *s)
{
	char line[64];
	long long quota, period;

	if (!read_line(s, "cpu.cfs_quota_us", line, sizeof line) || sscanf(line, "%lld", &quota) != 1)
		return INT_MAX;
	if (!read_line(s, "cpu.cfs_period_us", line, sizeof line) || sscanf(line, "%lld", &period) != 1)
		return INT_MAX;
	return cpus_of(quota, period);
}

static int fewer(int a, int b)
{
	return a < b ? a : b;
}

/* A group may be limited by any of its parents. In a container the group's own path may not exist below the mount; its
 * limits are then at the mount itself, which is the last folder looked at. */
static int quota_upwards(struct search *s, const char *root, const char *mount, char *group,
                         int (*quota)(struct search *))
{
	int least = INT_MAX;

	for (;;) {
		int length = snprintf(s->path, sizeof s->path, "%s%s%s", root, mount, group);
		char *slash = strrchr(group, '/');

		if (length >= 0 && length < (int)sizeof s->path) {
			s->length = (size_t)length;
			least = fewer(least, quota(s));
		}
		if (!slash)
			return least;
		*slash = '\0';
	}
}

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = list; (at = strstr(at, word)) != NULL; at += n)
		if ((at == list || at[-1] == ',') && (at[n] == ',' || at[n] == '\0'))
			return true;
	return false;
}

/* A line is "hierarchy:controllers:path"; version 2 has the hierarchy 0 and no controllers. */
static int quota_of_line(struct search *s, const char *root)
{
	char *controllers = strchr(s->line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;

	if (!group)
		return INT_MAX;
	*controllers++ = *group++ = '\0';
	if (controllers[0] == '\0')
		return quota_upwards(s, root, "", group, quota_v2);
	return has_word(controllers, "cpu") ? quota_upwards(s, root, "/cpu", group, quota_v1) : INT_MAX;
}

/* Of a path that is too long the parents are left. */
static bool next_line(struct search *s, FILE *file)
{
	char *end, *slash;
	int c;

	if (!fgets(s->line, sizeof s->line, file))
		return false;
	end = strchr(s->line, '\n');
	if (end) {
		*end = '\0';
		return true;
	}
	c = getc(file);
	slash = strrchr(s->line, '/');
	if (c != EOF && slash)
		*slash = '\0';
	while (c != EOF && c != '\n')
		c = getc(file);
	return true;
}

int mpp_cpu_quota(const char *cgroup, const char *root)
{
	struct search *s = mpp_alloc(sizeof *s);
	FILE *file = s ? fopen(cgroup, "re") : NULL;
	int least = INT_MAX;

	while (file && next_line(s, file))
		least = fewer(least, quota_of_line(s, root));
	if (file)
		fclose(file);
	mpp_free(s);
	return least;
}

static int quota_now(void)
{
	int cancel_state, quota;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);   /* reading files must not make us a point */
	quota = mpp_cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup");
	pthread_setcancelstate(cancel_state, NULL);
	return quota;
}

int mpp_cpu_usable(void)
{
	return fewer(affinity(), quota_now());
}

static int first_quota;
static pthread_once_t first_quota_once = PTHREAD_ONCE_INIT;

static void read_first_quota(void)
{
	first_quota = quota_now();
}

int mpp_cpu_estimate(void)
{
	pthread_once(&first_quota_once, read_first_quota);
	return fewer(affinity(), first_quota);
}

MPP_PUBLIC int mppool_cpu_count(void)
{
	return mpp_cpu_usable();
}
