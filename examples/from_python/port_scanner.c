/* port_scanner.c - which ports of this machine's loopback are open? One after the other, then all at once.
 *
 * SPDX-License-Identifier: MIT
 *
 * port_scanner SECONDS PORT...
 *
 * A port that does not answer within so many seconds counts as closed. How much faster it was all at once is said on
 * standard error. ../portscan.c is a scanner for use.
 *
 * zip(ports, repeat(timeout)) is MPPOOL_ZIP() of a column and of one repeated value. There is a worker for each port,
 * however few CPUs there are: all that they do is wait. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <fcntl.h>
#include <mppool.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PORTS = 1000 };

static bool connects(int fd, int port, double timeout)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port)};
	struct pollfd connected = {.fd = fd, .events = POLLOUT};
	int error = 0;
	socklen_t len = sizeof error;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fcntl(fd, F_SETFL, O_NONBLOCK))
		return false;
	if (connect(fd, (const struct sockaddr *)&to, sizeof to) == 0)
		return true;
	return errno == EINPROGRESS && poll(&connected, 1, (int)(timeout * 1e3)) == 1 &&
	       getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0;
}

/* Without a socket nothing can be said about the port: that is a failure, in the pool. */
static bool probe(int port, double timeout)
{
	const int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool open;

	if (fd < 0)
		return mppool_raise(errno, "socket: %s", strerror(errno));
	open = connects(fd, port, timeout);
	close(fd);
	return open;
}
MPPOOL_FUNC(probe_task, bool, probe, int, double);

static void check(int code, const char *what)
{
	if (code) {
		fprintf(stderr, "%s: %s\n", what, mppool_strerror(code));
		exit(EXIT_FAILURE);
	}
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Prints which are open; returns how many. */
static int print_open(const int *ports, const bool *open, int n)
{
	int count = 0;

	for (int i = 0; i < n; i++)
		if (open[i]) {
			printf("port %d is open\n", ports[i]);
			count++;
		}
	return count;
}

int main(int argc, char **argv)
{
	static int ports[MAX_PORTS];
	static bool serial[MAX_PORTS], parallel[MAX_PORTS];
	const double timeout = argc > 2 ? strtod(argv[1], NULL) : 0.0;
	const int n = argc - 2;
	double start, serial_time, parallel_time;
	mppool *pool;

	check(n < 1 || n > MAX_PORTS ? EINVAL : 0, "port_scanner SECONDS PORT...");
	for (int i = 0; i < n; i++)
		ports[i] = atoi(argv[i + 2]);

	start = seconds();
	for (int i = 0; i < n; i++)
		serial[i] = probe(ports[i], timeout);
	serial_time = seconds() - start;

	start = seconds();
	check(mppool_create(MPPOOL_OPTIONS(.workers = n), &pool), "mppool_create");
	check(mppool_starmap(pool, &probe_task, MPPOOL_ZIP((size_t)n, MPPOOL_COLUMN(ports), MPPOOL_REPEAT(&timeout)),
	                     parallel, 1),
	      "mppool_starmap");
	check(mppool_destroy(pool), "mppool_destroy");
	parallel_time = seconds() - start;

	printf("%d of %d are open, %s found one by one\n", print_open(ports, parallel, n), n,
	       memcmp(serial, parallel, (size_t)n * sizeof *serial) == 0 ? "as" : "but not as");
	fprintf(stderr, "%.3f s one by one, %.3f s at once: %.1f times as fast\n", serial_time, parallel_time,
	        serial_time / parallel_time);
	check(fflush(stdout) || ferror(stdout) ? EIO : 0, "standard output");
	return EXIT_SUCCESS;
}
