/* listener.c - ports that are known to be open, closed or silent, for the test of portscan.
 *
 * SPDX-License-Identifier: MIT
 *
 * listener OPEN CLOSED SILENT: on 127.0.0.1 binds that many sockets that listen, that many that only keep their port
 * from being used by anybody, and that many that listen and whose queue of connections is full, so that the system
 * answers no more. Prints "open PORT", "closed PORT" or "silent PORT" for each, closes standard output, and stays until
 * the end of standard input. Where the system answers in spite of a full queue, no silent ports are printed. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_SOCKETS = 100, CONNECTIONS = 4 };

static void fail(const char *what)
{
	fprintf(stderr, "listener: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static int new_socket(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		fail("socket");
	return fd;
}

/* A port of the system's choice; backlog -1: it does not listen. */
static struct sockaddr_in take_port(int backlog)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof address;
	const int fd = new_socket();

	if (bind(fd, (const struct sockaddr *)&address, len))
		fail("bind");
	if (backlog >= 0 && listen(fd, backlog))
		fail("listen");
	if (getsockname(fd, (struct sockaddr *)&address, &len))
		fail("getsockname");
	return address;
}

static void print_port(const char *what, const struct sockaddr_in *address)
{
	printf("%s %u\n", what, (unsigned)ntohs(address->sin_port));
}

/* Connect without waiting, and return whether that has worked at once. */
static bool fill(const struct sockaddr_in *address)
{
	struct pollfd connected = {.fd = new_socket(), .events = POLLOUT};

	if (fcntl(connected.fd, F_SETFL, O_NONBLOCK))
		fail("fcntl");
	if (connect(connected.fd, (const struct sockaddr *)address, sizeof *address) && errno != EINPROGRESS)
		fail("connect");
	return poll(&connected, 1, 200) > 0;
}

/* A queue of length 0 has room for one connection, or few. */
static void take_silent_port(void)
{
	const struct sockaddr_in address = take_port(0);

	for (int i = 0; i < CONNECTIONS; i++) {
		if (!fill(&address)) {
			print_port("silent", &address);
			return;
		}
	}
}

static int parse_count(const char *text)
{
	char *end;
	const long count = strtol(text, &end, 10);

	if (end == text || *end || count < 0 || count > MAX_SOCKETS) {
		fprintf(stderr, "Usage: listener OPEN CLOSED SILENT, each at most %d\n", MAX_SOCKETS);
		exit(EXIT_FAILURE);
	}
	return (int)count;
}

static void print_ports(const char *what, int count, int backlog)
{
	for (int i = 0; i < count; i++) {
		const struct sockaddr_in address = take_port(backlog);

		print_port(what, &address);
	}
}

int main(int argc, char **argv)
{
	char buffer[64];
	ssize_t n;

	print_ports("open", parse_count(argc == 4 ? argv[1] : ""), 16);
	print_ports("closed", parse_count(argv[2]), -1);
	for (int i = parse_count(argv[3]); i > 0; i--)
		take_silent_port();
	if (fclose(stdout))
		fail("standard output");
	do
		n = read(STDIN_FILENO, buffer, sizeof buffer);
	while (n > 0 || (n < 0 && errno == EINTR));
	return n == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
