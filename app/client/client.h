/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CLIENT_CLIENT_H
#define BETANET_CLIENT_CLIENT_H

#include <signal.h>
#include "route.h"
#include "settings.h"
#include "udp.h"

/* What every command works with. */
struct client {
	const struct settings *settings;
	struct directory *directory;   /* NULL: receive without one */
	struct neighbours *neighbours; /* NULL: without --neighbours */
	struct crypto *crypto;
	struct udp udp;      /* fd -1: not open */
	struct cover *cover; /* NULL: without --cover (cover.h) */
	struct route_params route;
};

/* Set by SIGINT and SIGTERM; every loop looks at it at least four times a second. */
extern volatile sig_atomic_t client_stop;

/* The longest that a loop waits before it looks at client_stop. */
#define CLIENT_SLICE_NS UINT64_C(250000000)

/*
 * Loads and verifies the directory and makes ready to compute. 0 or a negative errno. Always call
 * client_close afterwards.
 */
int client_open(struct client *c, const struct settings *s, struct error *err);
void client_close(struct client *c);

/* udp_receive for what is meant for the command: our own loops are taken out and counted. An error
 * that stopped the cover traffic is returned as well. */
ssize_t client_receive(struct client *c, void *buf, size_t cap, uint64_t deadline,
	struct endpoint *from, struct error *err);

/* Opens the socket: at --bind, otherwise for the family of the first relay. */
int client_open_socket(struct client *c, struct error *err);

/* The address at which relays reach the open socket: its own, or the kernel's choice toward one of
 * the directory's relays. */
int client_own_address(struct client *c, struct endpoint *own, struct error *err);

/* route_draw with the present time and, with --neighbours, the present sets; relays that begin to
 * sit out are named on standard error. `p` is c->route or a copy of it. */
int client_draw_route(struct client *c, struct route_params *p, const struct endpoint *destination,
	uint8_t entry_family, struct route *route, struct error *err);

/* Says on standard error which relays or routers refused datagrams. Returns how many were. */
uint64_t client_report_refused(const struct client *c);

/* Reads a file, or standard input for "-", up to `max` bytes; malloc'd. */
int client_read_input(
	const char *path, uint64_t max, uint8_t **data, size_t *len, struct error *err);

/* Whether client_write_output would be refused because the file exists: known before the wait. */
int client_check_output(const char *path, bool force, struct error *err);

/* Writes a whole file (atomically), or to standard output for "-". */
int client_write_output(
	const char *path, const uint8_t *data, size_t len, bool force, struct error *err);

/* The commands. They return the exit status: 0 or 1; after 1 `err` holds the reason, or is empty
 * when it was already said. */
int command_send(struct client *c, struct error *err);
int command_receive(struct client *c, struct error *err);
int command_reply(struct client *c, struct error *err);
int command_ping(struct client *c, struct error *err);

#endif
