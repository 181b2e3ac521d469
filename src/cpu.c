/* layer 0: CPU affinity, and the CPU quota of cgroup v2 (cpu.max) and v1 (cpu.cfs_quota_us). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cpu.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#define PATH_BYTES 1024

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

static bool read_line(const char *path, char *line, int size)
{
	FILE *file = fopen(path, "re");
	bool ok = file && fgets(line, size, file);

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

static int quota_v2(const char *folder)
{
	char path[PATH_BYTES], line[64];
	long long quota, period;

	if (snprintf(path, sizeof path, "%s/cpu.max", folder) >= (int)sizeof path ||
	    !read_line(path, line, sizeof line) ||
	    sscanf(line, "%lld %lld", &quota, &period) != 2)         /* "max 100000": no limit */
		return INT_MAX;
	return cpus_of(quota, period);
}

static int quota_v1(const char *folder)
{
	char path[PATH_BYTES], line[64];
	long long quota, period;

	if (snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder) >= (int)sizeof path ||
	    !read_line(path, line, sizeof line) || sscanf(line, "%lld", &quota) != 1)
		return INT_MAX;
	if (snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder) >= (int)sizeof path ||
	    !read_line(path, line, sizeof line) || sscanf(line, "%lld", &period) != 1)
		return INT_MAX;
	return cpus_of(quota, period);
}

/* A group may be limited by any of its parents. In a container the group's own path may not exist below the mount; its
 * limits are then at the mount itself, which is the last folder looked at. */
static int quota_upwards(const char *mount, char *group, int (*quota)(const char *))
{
	char folder[PATH_BYTES];
	int least = INT_MAX;

	for (;;) {
		char *slash;
		int cpus = INT_MAX;

		if (snprintf(folder, sizeof folder, "%s%s", mount, group) < (int)sizeof folder)
			cpus = quota(folder);
		if (cpus < least)
			least = cpus;
		slash = strrchr(group, '/');
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
static int quota_of_line(char *line, const char *root)
{
	char mount[PATH_BYTES];
	char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;

	if (!group)
		return INT_MAX;
	line[strcspn(line, "\n")] = '\0';
	*controllers++ = *group++ = '\0';
	if (controllers[0] == '\0')
		return quota_upwards(root, group, quota_v2);
	if (!has_word(controllers, "cpu") || snprintf(mount, sizeof mount, "%s/cpu", root) >= (int)sizeof mount)
		return INT_MAX;
	return quota_upwards(mount, group, quota_v1);
}

int mpp_cpu_quota(const char *cgroup, const char *root)
{
	FILE *file = fopen(cgroup, "re");
	char line[PATH_BYTES];
	int least = INT_MAX;

	if (!file)
		return INT_MAX;
	while (fgets(line, sizeof line, file)) {
		int cpus = quota_of_line(line, root);

		if (cpus < least)
			least = cpus;
	}
	fclose(file);
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

static int fewer(int a, int b)
{
	return a < b ? a : b;
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
