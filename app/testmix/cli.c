/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli.h"

#include <cmdline_socket.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include "benchmark.h"
#include "core/secmem.h"
#include "crypto/crypto.h"
#include "engine.h"
#include "traffic.h"

enum {
	EXIT_USAGE = 2,
	POLL_MS = 2, /* a pipeline wants betanet_poll every 10 ms */
	CLIENTS = 8,
	CLIENT_SECONDS = 2,
	LINE_MAX_BYTES = 1024,
	MAX_DEPTH = 8,
};

static const char prompt[] = "testmix> ";

/* Lines that come in pieces: a client of the socket, or a standard input that is no terminal. */
struct source {
	int in, out_fd;
	FILE *out;
	bool terse; /* OK and ERROR, as on the socket */
	char line[LINE_MAX_BYTES];
	size_t len;
	bool gone; /* it does not read its answers */
	bool over; /* the line is too long: it will not be run */
};

/* All that the program has open. */
struct console {
	struct cli cli;
	struct lab lab;
	struct cli_options options;
	struct grammar *grammar;
	struct cmdline *terminal; /* NULL without -i on a terminal */
	struct cmdline *parser;   /* of lines that come from elsewhere */
	struct source input;      /* standard input that is no terminal; in < 0: none */
	struct source client[CLIENTS];
	int listener;
	uint64_t next_stats; /* TSC */
};

static struct console con = {.listener = -1, .input = {.in = -1}};
static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
	traffic_interrupt(con.lab.traffic);
}

bool cli_interrupted(void)
{
	return interrupted;
}

/* ---- one command ---- */

static void dispatch(const struct grammar_row *row, const struct grammar_args *a)
{
	struct cli *c = &con.cli;

	c->err.msg[0] = 0;
	c->lab->log = c->out;
	c->failed = row ? row->run(c, a, &c->err) : grammar_explain(con.grammar, a->line, &c->err);
	/* the terminal's own loop comes straight here */
	if (c->failed && c->out == stdout && c->depth == 0 && con.terminal)
		fprintf(c->out, "Error: %s\n", c->err.msg);
	fflush(c->out);
}

static int too_long(struct error *err)
{
	return error_set(err, EINVAL, "a line has at most %d characters", LINE_MAX_BYTES - 1);
}

int cli_line(struct cli *c, const char *line, FILE *out, bool print)
{
	FILE *before = c->out;
	char text[LINE_MAX_BYTES + 2];

	c->out = out;
	c->failed = 0;
	c->depth++;
	if (snprintf(text, sizeof(text), "%s\n", line) >= (int)sizeof(text))
		c->failed = too_long(&c->err);
	else if (cmdline_parse(con.parser, text) < 0 && c->failed == 0)
		c->failed = error_set(&c->err, EINVAL, "\"%s\" is ambiguous", line);
	c->depth--;
	if (c->failed && print)
		fprintf(out, "Error: %s\n", c->err.msg);
	fflush(out);
	c->out = before;
	return c->failed;
}

int cli_file(struct cli *c, const char *path, struct error *err)
{
	char line[LINE_MAX_BYTES];
	unsigned number = 0;
	int rc = 0;
	FILE *f;

	if (c->depth >= MAX_DEPTH)
		return error_set(
			err, ELOOP, "%s: files load each other more than %d deep", path, MAX_DEPTH);
	f = fopen(path, "re");
	if (!f)
		return error_set(err, errno, "%s: %s", path, strerror(errno));
	while (!rc && !c->quit && fgets(line, sizeof(line), f)) {
		struct error why;

		number++;
		if (!strchr(line, '\n') && !feof(f)) {
			rc = too_long(&c->err);
		} else {
			line[strcspn(line, "\r\n")] = 0;
			rc = cli_line(c, line, c->out, false);
		}
		why = c->err;
		if (rc)
			error_set(err, -rc, "%s:%u: %.400s", path, number, why.msg);
	}
	fclose(f);
	c->failed = rc;
	return rc;
}

/* ---- lines from a socket or a pipe ---- */

static void source_line(struct source *s)
{
	int rc = s->over ? too_long(&con.cli.err) : cli_line(&con.cli, s->line, s->out, !s->terse);

	if (s->over && !s->terse)
		fprintf(s->out, "Error: %s\n", con.cli.err.msg);
	s->over = false;
	if (s->terse)
		fprintf(s->out, rc ? "ERROR %s\n" : "OK\n", con.cli.err.msg);
	fflush(s->out);
	s->gone = s->terse && ferror(s->out);
}

/* False when it is at its end. */
static bool source_read(struct source *s)
{
	char piece[512];
	ssize_t n = read(s->in, piece, sizeof(piece));

	if (n <= 0)
		return n < 0 && (errno == EINTR || errno == EAGAIN);
	for (ssize_t i = 0; i < n && !con.cli.quit; i++) {
		if (piece[i] == '\n') {
			s->line[s->len] = 0;
			s->len = 0;
			source_line(s);
		} else if (s->len == sizeof(s->line) - 1) {
			s->over = true;
		} else if (piece[i] != '\r') {
			s->line[s->len++] = piece[i];
		}
	}
	return !s->gone;
}

static void client_close(struct source *s)
{
	if (s->out)
		fclose(s->out);
	if (s->in >= 0)
		close(s->in);
	*s = (struct source){.in = -1};
}

static void client_accept(void)
{
	/* a client that does not read its answers must not hold up the lab */
	const struct timeval patience = {.tv_sec = CLIENT_SECONDS};
	int fd = accept4(con.listener, NULL, NULL, SOCK_CLOEXEC);
	struct source *s = NULL;

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	for (unsigned i = 0; i < CLIENTS && !s; i++)
		if (con.client[i].in < 0)
			s = &con.client[i];
	if (!s) {
		static const char full[] = "ERROR all places for clients are taken: 8\n";

		(void)!write(fd, full, sizeof(full) - 1);
		close(fd);
		return;
	}
	*s = (struct source){.in = fd, .terse = true, .out = fdopen(dup(fd), "w")};
	if (!s->out)
		client_close(s);
}

static int listen_on(const char *path, struct error *err)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	mode_t mask;
	int rc;

	if (strlen(path) >= sizeof(at.sun_path))
		return error_set(err, ENAMETOOLONG, "--socket: %s has more than %zu characters",
			path, sizeof(at.sun_path) - 1);
	strcpy(at.sun_path, path);
	con.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	mask = umask(0177); /* who may write to it commands the lab */
	rc = con.listener < 0 || bind(con.listener, (struct sockaddr *)&at, sizeof(at)) ||
			     listen(con.listener, CLIENTS)
		     ? -errno
		     : 0;
	umask(mask);
	if (!rc)
		return 0;
	if (con.listener >= 0)
		close(con.listener);
	con.listener = -1;
	return error_set(err, -rc, "--socket %s: %s%s", path, strerror(-rc),
		rc == -EADDRINUSE ? ": remove it if nothing listens there any more" : "");
}

/* ---- the loop ---- */

static void periodic(void)
{
	uint64_t now = rte_rdtsc();

	lab_poll(&con.lab);
	if (!con.options.stats_period || !con.lab.running || now < con.next_stats)
		return;
	con.next_stats = now + con.options.stats_period * rte_get_tsc_hz();
	for (unsigned i = 0; i < con.lab.port_count; i++)
		cli_print_port_stats(&con.lab, con.lab.ports[i].id, stdout);
	fflush(stdout);
}

static void terminal_read(void)
{
	char piece[256];
	ssize_t n = read(STDIN_FILENO, piece, sizeof(piece));

	/* byte by byte: behind a quit nothing more is run */
	for (ssize_t i = 0; i < n && !con.cli.quit; i++)
		if (cmdline_in(con.terminal, &piece[i], 1) < 0)
			con.cli.quit = true;
	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
		con.cli.quit = true;
}

/* Without -i nothing is read but the end: a line, or that of the input. */
static bool input_read(void)
{
	char piece[64];
	ssize_t n;

	if (con.options.interactive)
		return source_read(&con.input);
	n = read(con.input.in, piece, sizeof(piece));
	con.cli.quit |= n > 0 && memchr(piece, '\n', (size_t)n);
	return n > 0;
}

static void serve(const struct pollfd *p)
{
	if (p->fd == con.listener) {
		client_accept();
	} else if (p->fd == STDIN_FILENO && con.terminal) {
		terminal_read();
	} else if (p->fd == con.input.in) {
		if (!input_read()) {
			con.input.in = -1;
			con.cli.quit = con.listener < 0 && !con.options.stats_period;
		}
	} else {
		for (unsigned i = 0; i < CLIENTS; i++)
			if (con.client[i].in == p->fd && !source_read(&con.client[i]))
				client_close(&con.client[i]);
	}
}

static void loop(void)
{
	while (!con.cli.quit && !interrupted) {
		struct pollfd p[CLIENTS + 3];
		nfds_t n = 0, ready;

		if (con.terminal)
			p[n++] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
		if (con.input.in >= 0)
			p[n++] = (struct pollfd){.fd = con.input.in, .events = POLLIN};
		if (con.listener >= 0)
			p[n++] = (struct pollfd){.fd = con.listener, .events = POLLIN};
		for (unsigned i = 0; i < CLIENTS; i++)
			if (con.client[i].in >= 0)
				p[n++] = (struct pollfd){.fd = con.client[i].in, .events = POLLIN};
		ready = n;
		if (poll(p, n, POLL_MS) > 0)
			for (nfds_t i = 0; i < ready && !con.cli.quit; i++)
				if (p[i].revents)
					serve(&p[i]);
		periodic();
	}
}

/* ---- the program ---- */

static void open_input(void)
{
	if (con.options.interactive && isatty(STDIN_FILENO)) {
		con.terminal = cmdline_stdin_new(grammar_context(con.grammar), prompt);
		return;
	}
	con.input = (struct source){.in = STDIN_FILENO, .out = stdout};
}

static int run(struct error *err)
{
	struct cli *c = &con.cli;
	int rc = grammar_create(cli_commands, cli_command_count, dispatch, &con.grammar, err);

	if (rc)
		return rc;
	con.parser = cmdline_new(grammar_context(con.grammar), "", -1, -1);
	if (!con.parser)
		return error_set(err, ENOMEM, "no memory for the command line");
	if (con.options.socket)
		rc = listen_on(con.options.socket, err);
	if (!rc && con.options.cmdline_file) {
		printf("CLI commands to be read from %s\n", con.options.cmdline_file);
		rc = cli_file(c, con.options.cmdline_file, err);
	}
	if (!rc && !c->quit && (con.options.auto_start || !con.options.interactive) &&
		!con.lab.running) {
		rc = cli_line(c, con.options.tx_first ? "start tx_first" : "start", stdout, false);
		*err = c->err;
	}
	fflush(stdout);
	if (rc || c->quit)
		return rc;
	if (!con.options.interactive)
		printf("Press enter to exit\n");
	fflush(stdout);
	open_input();
	loop();
	return 0;
}

static void close_console(void)
{
	if (con.terminal)
		cmdline_stdin_exit(con.terminal); /* and frees it */
	if (con.lab.running)
		cli_line(&con.cli, "stop", stdout, true);
	for (unsigned i = 0; i < CLIENTS; i++)
		if (con.client[i].in >= 0)
			client_close(&con.client[i]);
	if (con.listener >= 0) {
		close(con.listener);
		unlink(con.options.socket);
	}
	if (con.parser)
		cmdline_free(con.parser);
	grammar_free(con.grammar);
	lab_close(&con.lab);
}

static void catch_signals(void)
{
	struct sigaction act = {.sa_handler = on_signal};

	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int run_lab(struct error *err)
{
	int rc;

	con.cli = (struct cli){.lab = &con.lab, .out = stdout};
	rc = lab_open(&con.lab, &con.options, err);
	if (!rc)
		rc = run(err);
	fflush(stdout);
	return rc;
}

int cli_main(int argc, char **argv, int own)
{
	struct error err = {""};
	bool reached = true;
	int rc = cli_options_parse(&con.options, argc - own, argv + own, &err);

	if (rc) {
		fprintf(stderr, "betanet-testmix: %s\n", err.msg);
		return EXIT_USAGE;
	}
	catch_signals();
	for (unsigned i = 0; i < CLIENTS; i++)
		con.client[i].in = -1;
	if (secmem_init(&err) < 0 || rte_eal_init(own ? own : 1, argv) < 0) {
		fprintf(stderr, "betanet-testmix: EAL did not start: %s %s\n",
			rte_strerror(rte_errno), err.msg);
		return 1;
	}
	rc = crypto_init(0, &err);
	if (!rc)
		rc = con.options.benchmark ? benchmark_run(&con.options, stdout, &reached, &err)
					   : run_lab(&err);
	if (rc)
		fprintf(stderr, "betanet-testmix: %s\n", err.msg);
	close_console();
	rte_eal_cleanup();
	return rc || !reached ? 1 : 0;
}
