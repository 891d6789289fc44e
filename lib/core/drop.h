/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_CORE_DROP_H
#define BETANET_CORE_DROP_H

/*
 * Why a packet was dropped. One list: the enum, the names in telemetry and in the CLI, and the
 * texts of the documentation are all made from it. The order is the order of the stages. A name
 * never changes its meaning; a new reason is added where its stage stands.
 */
#define DROP_REASONS(X)                                                                            \
	/* parse: Ethernet, IP, UDP, frame */                                                      \
	X(bad_ethernet, "frame shorter than an Ethernet header, or of an unknown EtherType")       \
	X(bad_ip, "IP header truncated, of a wrong version or length")                             \
	X(bad_ip_checksum, "IPv4 header checksum or a checksum that the NIC checked is wrong")     \
	X(ip_options, "IPv4 options or IPv6 extension headers: never sent by a relay")             \
	X(ip_fragment, "IP fragment: never sent by a relay")                                       \
	X(not_ours, "addressed to another host")                                                   \
	X(not_udp, "neither UDP nor anything that the control lcore answers")                      \
	X(bad_udp, "UDP header truncated or its length differs from that of the IP packet")        \
	X(wrong_port, "UDP port other than node.port")                                             \
	X(bad_frame, "unknown frame version, type or size tag")                                    \
	X(bad_length, "length other than that of the network's one packet size")                   \
	/* admission: before any curve arithmetic */                                               \
	X(unknown_source, "sender is no relay of the directory (rate_limiting.senders)")           \
	X(source_limit, "more than rate_limiting.source_pps from one source")                      \
	X(peer_limit, "more than rate_limiting.peer_pps from one relay")                           \
	X(global_limit, "more than rate_limiting.global_pps altogether")                           \
	X(pool_full, "packet buffers ran short: arrivals were dropped at random")                  \
	/* unwrap and replay */                                                                    \
	X(bad_point, "alpha of small order or on the twist")                                       \
	X(bad_mac, "gamma is not the MAC of beta: forged, damaged, or for another key")            \
	X(replay, "the packet's tag was seen before")                                              \
	X(replay_full, "the replay table is full: rotate the Sphinx key or raise replay.capacity") \
	X(bad_routing_flag, "routing flag other than 1 (forward) or 2 (final)")                    \
	X(unsupported_version, "packet version 1 or 257")                                          \
	/* delay: whose key */                                                                     \
	X(no_epoch_key, "no VRF delay key for the time of arrival: the control lcore was late")    \
	/* route */                                                                                \
	X(bad_address, "next address or destination starts with neither 4 nor 6")                  \
	X(unknown_next_hop, "next hop is not in the signed directory")                             \
	X(not_neighbour, "next hop outside the proved set of the epoch (vrf.neighbours)")          \
	X(directory_expired, "the signed directory is past its validity")                          \
	X(not_exit, "final packet at a relay that is not an exit")                                 \
	X(bad_payload, "final payload without its zero prefix or its end marker")                  \
	X(exit_denied, "destination outside node.exit_allow")                                      \
	X(no_route, "no port reaches the next hop or the destination")                             \
	/* delay, shaping, transmission */                                                         \
	X(wheel_full, "as many packets are parked as the pool allows")                             \
	X(unresolved, "no ARP or ND answer from the next hop in time")                             \
	X(not_link, "shaping has no slots for this next hop: it is not in the next layer")         \
	X(shaper_full, "the link's shaping queue is at pipeline.max_queue_depth")                  \
	X(tx_refused, "the port's TX queue took no more packets in time")                          \
	/* everything else */                                                                      \
	X(control_full, "the control lcore's queue was full (ARP, ND, ICMP)")                      \
	X(shutdown, "still parked when the drain deadline passed")

enum drop_reason {
	DROP_NONE = 0,
#define X(name, text) DROP_##name,
	DROP_REASONS(X)
#undef X
		DROP_COUNT
};

/* Name as in telemetry ("bad_mac"), and one sentence for people. "none" and "?" outside the list.
 */
const char *drop_name(enum drop_reason r);
const char *drop_text(enum drop_reason r);

#endif
