#!/usr/bin/env bash
# A file through three relays on net_af_packet in network namespaces; see scripts/lab-netns.sh.
exec bash "$(dirname "$0")/../../scripts/lab-netns.sh" af_packet
