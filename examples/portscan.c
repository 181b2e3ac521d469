/* portscan.c - which TCP ports of a host are open? starmap over (host, port), a worker for each port.
 *
 * SPDX-License-Identifier: MIT
 *
 * Nearly all of the time of a scan is spent waiting, so there are as many workers as ports, up to 1,024, however few
 * CPUs there are: threads that wait cost little but their stacks, which are small here. Without -a only this machine's
 * loopback address is scanned; scan other people's hosts only with their consent. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <mppool.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORTS = 65536, MAX_WORKERS = 1024, STACK_SIZE = 128 * 1024, SPARE_FILES = 16, EXIT_USAGE = 2 };

enum answer { CLOSED, OPEN, SILENT };

struct host {
	struct sockaddr_storage address; /* its port is not set */
	socklen_t len;
	int timeout_ms;
	char name[NI_MAXHOST];           /* the address in figures */
};

struct options {
	const char *host;
	int workers;
	double timeout;
	bool verbose;
	bool wanted[PORTS];
};

/* -------------------------------------------------------------------------------------------------------- the task */

static struct sockaddr_storage with_port(const struct sockaddr_storage *address, uint16_t port)
{
	struct sockaddr_storage to = *address;

	if (to.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&to)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)&to)->sin_port = htons(port);
	return to;
}

/* 0 when connected, else an errno value. The socket does not block, so that the wait can have a limit. */
static int connect_within(int fd, const struct sockaddr_storage *to, socklen_t len, int timeout_ms)
{
	struct pollfd connected = {.fd = fd, .events = POLLOUT};
	int error = 0;
	socklen_t error_len = sizeof error;
	int n;

	if (connect(fd, (const struct sockaddr *)to, len) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	do
		n = poll(&connected, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno;
	if (n == 0)
		return ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len))
		return errno;
	return error;
}

/* On loopback a connection can meet itself, when the port it comes from happens to be the one it goes to. */
static bool is_own_end(int fd, const struct sockaddr_storage *to, socklen_t to_len)
{
	struct sockaddr_storage from = {0};
	socklen_t from_len = sizeof from;

	return getsockname(fd, (struct sockaddr *)&from, &from_len) == 0 && from_len == to_len &&
	       memcmp(&from, to, to_len) == 0;
}

/* Knock at one port. What says nothing about the port, such as too many open files, is a failure of the task. */
static int probe(const struct host *host, uint16_t port)
{
	const struct sockaddr_storage to = with_port(&host->address, port);
	const int fd = socket(to.ss_family, SOCK_STREAM, 0);
	int answer;
	int code;

	if (fd < 0)
		return mppool_raise(errno, "socket: %s", mppool_strerror(errno));
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) || fcntl(fd, F_SETFL, O_NONBLOCK))
		code = errno;
	else
		code = connect_within(fd, &to, host->len, host->timeout_ms);

	if (code == 0)
		answer = is_own_end(fd, &to, host->len) ? CLOSED : OPEN;
	else if (code == ECONNREFUSED || code == ECONNRESET)
		answer = CLOSED;
	else if (code == ETIMEDOUT || code == EHOSTUNREACH)
		answer = SILENT;
	else
		answer = mppool_raise(code, "port %u: %s", (unsigned)port, mppool_strerror(code));
	close(fd);
	return answer;
}
MPPOOL_FUNC(probe_task, int, probe, const struct host *, uint16_t);

/* -------------------------------------------------------------------------------------------------------- the scan */

/* Every worker has a socket open: raise the limit of open files if need be, and return how many workers it allows. */
static int workers_allowed(int wanted)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return wanted;
	if (files.rlim_cur < (rlim_t)wanted + SPARE_FILES) {
		const struct rlimit more = {.rlim_cur = files.rlim_max, .rlim_max = files.rlim_max};

		if (files.rlim_max > files.rlim_cur && setrlimit(RLIMIT_NOFILE, &more) == 0)
			files = more;
	}
	if (files.rlim_cur >= (rlim_t)wanted + SPARE_FILES)
		return wanted;
	return files.rlim_cur > SPARE_FILES ? (int)(files.rlim_cur - SPARE_FILES) : 1;
}

/* Fills answers; those of ports that failed are CLOSED, which is 0. Returns 0, or -1 after a complaint. */
static int scan(const struct host *host, const uint16_t *ports, int n, int max_workers, int *answers)
{
	const int workers = workers_allowed(n < max_workers ? n : max_workers);
	mppool *pool;
	int code;

	code = mppool_create(MPPOOL_OPTIONS(.workers = workers, .stack_size = STACK_SIZE, .name = "portscan"), &pool);
	if (code) {
		fprintf(stderr, "portscan: cannot start %d workers: %s\n", workers, mppool_strerror(code));
		return -1;
	}
	code = mppool_starmap(pool, &probe_task, MPPOOL_ZIP((size_t)n, MPPOOL_REPEAT(&host), MPPOOL_COLUMN(ports)),
	                      answers, 1);
	if (code == MPPOOL_ETASK)
		fprintf(stderr, "portscan: some ports could not be tried: %s\n", mppool_last_error()->message);
	else if (code)
		fprintf(stderr, "portscan: %s\n", mppool_strerror(code));
	mppool_destroy(pool);
	return code ? -1 : 0;
}

static void print_answers(const struct host *host, const uint16_t *ports, int n, const int *answers, bool verbose)
{
	const bool is_ipv6 = host->address.ss_family == AF_INET6;
	int count[SILENT + 1] = {0};

	for (int i = 0; i < n; i++) {
		count[answers[i]]++;
		if (answers[i] == OPEN)
			printf(is_ipv6 ? "[%s]:%u open\n" : "%s:%u open\n", host->name, (unsigned)ports[i]);
	}
	if (verbose)
		fprintf(stderr, "%d ports: %d open, %d closed, %d without an answer\n", n, count[OPEN], count[CLOSED],
		        count[SILENT]);
}

static int scan_and_print(const struct host *host, const struct options *options)
{
	static uint16_t ports[PORTS];
	static int answers[PORTS];
	int n = 0;
	int code;

	for (int port = 1; port < PORTS; port++)
		if (options->wanted[port])
			ports[n++] = (uint16_t)port;
	code = scan(host, ports, n, options->workers, answers);
	print_answers(host, ports, n, answers, options->verbose);
	if (fflush(stdout) || ferror(stdout)) {
		fputs("portscan: cannot write to standard output\n", stderr);
		code = -1;
	}
	return code;
}

/* --------------------------------------------------------------------------------------------------- options, host */

/* The first address of the host. */
static int resolve(const char *name, struct host *host)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	int code = getaddrinfo(name, NULL, &hints, &found);

	if (!code) {
		memcpy(&host->address, found->ai_addr, found->ai_addrlen);
		host->len = found->ai_addrlen;
		freeaddrinfo(found);
		code = getnameinfo((const struct sockaddr *)&host->address, host->len, host->name, sizeof host->name,
		                   NULL, 0, NI_NUMERICHOST);
	}
	if (code)
		fprintf(stderr, "portscan: %s: %s\n", name,
		        code == EAI_SYSTEM ? mppool_strerror(errno) : gai_strerror(code));
	return code ? -1 : 0;
}

static void usage(FILE *to)
{
	fputs("Usage: portscan [OPTION]... [PORTS]\n"
	      "Show which TCP ports of this machine's loopback address are open. PORTS is a list of ports and\n"
	      "ranges, such as 22,80,8000-8100; the default is 1-1024.\n"
	      "\n"
	      "  -a HOST      scan another host: only with its owner's consent\n"
	      "  -p WORKERS   ports tried at once; the default is 1024\n"
	      "  -t SECONDS   how long to wait for an answer; the default is 1\n"
	      "  -v           count the ports on standard error\n"
	      "  -h, --help   show this help\n",
	      to);
}

static void fail_usage(const char *what, const char *text)
{
	fprintf(stderr, "portscan: %s: %s\n", what, text);
	usage(stderr);
	exit(EXIT_USAGE);
}

/* A port number at *text, which is moved behind it; 0 if there is none. */
static unsigned long parse_port(const char **text)
{
	char *end;
	unsigned long port;

	if (**text < '0' || **text > '9')
		return 0;
	errno = 0;
	port = strtoul(*text, &end, 10);
	*text = end;
	return errno || port >= PORTS ? 0 : port;
}

static void parse_ports(const char *list, bool wanted[PORTS])
{
	for (const char *at = list;; at++) {
		const unsigned long first = parse_port(&at);
		unsigned long last = first;

		if (*at == '-') {
			at++;
			last = parse_port(&at);
		}
		if (first == 0 || last < first || (*at && *at != ','))
			fail_usage("not a list of ports", list);
		for (unsigned long port = first; port <= last; port++)
			wanted[port] = true;
		if (!*at)
			return;
	}
}

static double parse_number(const char *text, double min, double max)
{
	char *end;
	const double value = strtod(text, &end);

	if (end == text || *end || !(value >= min && value <= max))
		fail_usage("not a number in range", text);
	return value;
}

static void parse_options(int argc, char **argv, struct options *options)
{
	static const struct option long_options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	int option;

	while ((option = getopt_long(argc, argv, "a:hp:t:v", long_options, NULL)) != -1) {
		switch (option) {
		case 'a': options->host = optarg; break;
		case 'p': options->workers = (int)parse_number(optarg, 1, MAX_WORKERS); break;
		case 't': options->timeout = parse_number(optarg, 0.001, 3600); break;
		case 'v': options->verbose = true; break;
		case 'h': usage(stdout); exit(fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS);
		default: usage(stderr); exit(EXIT_USAGE);
		}
	}
	if (argc - optind > 1)
		fail_usage("too many arguments", argv[optind + 1]);
	parse_ports(optind < argc ? argv[optind] : "1-1024", options->wanted);
}

int main(int argc, char **argv)
{
	static struct options options = {.host = "127.0.0.1", .workers = MAX_WORKERS, .timeout = 1.0};
	static struct host host;

	parse_options(argc, argv, &options);
	if (resolve(options.host, &host))
		return EXIT_FAILURE;
	host.timeout_ms = (int)(options.timeout * 1e3);
	return scan_and_print(&host, &options) ? EXIT_FAILURE : EXIT_SUCCESS;
}
