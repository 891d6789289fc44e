/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "client.h"
#include "core/secmem.h"

static void on_signal(int number)
{
	(void)number;
	client_stop = 1;
}

static void catch_signals(void)
{
	/* no SA_RESTART: a wait ends at once */
	struct sigaction stop = {.sa_handler = on_signal};
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

static int run(const struct settings *s, struct error *err)
{
	static const struct {
		enum client_command command;
		int (*run)(struct client *c, struct error *err);
	} commands[] = {
		{COMMAND_SEND, command_send},
		{COMMAND_RECEIVE, command_receive},
		{COMMAND_REPLY, command_reply},
		{COMMAND_PING, command_ping},
	};
	struct client c;
	int status = 1;

	if (client_open(&c, s, err) == 0)
		for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
			if (commands[i].command == s->command)
				status = commands[i].run(&c, err);
	client_close(&c);
	return status;
}

int main(int argc, char **argv)
{
	struct settings settings;
	struct error err = {0};
	int r = settings_parse(&settings, argc, argv, stdout, &err), status;

	if (r > 0)
		return fflush(stdout) == 0 ? 0 : 1;
	if (r < 0) {
		fprintf(stderr, "betanet-client: %s\n", err.msg);
		return 2;
	}
	catch_signals();
	status = secmem_init(&err) < 0 ? 1 : run(&settings, &err);
	if (status != 0 && err.msg[0] != '\0')
		fprintf(stderr, "betanet-client: %s\n", err.msg);
	return status;
}
