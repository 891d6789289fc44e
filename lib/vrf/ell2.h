/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BETANET_VRF_ELL2_H
#define BETANET_VRF_ELL2_H

#include <stddef.h>
#include <stdint.h>

/*
 * encode_to_curve of RFC 9380 for edwards25519_XMD:SHA-512_ELL2_NU_, but for the last step (the
 * multiplication by the cofactor 8), which is the caller's: the point given may have torsion.
 * All inputs are public. libsodium's from_uniform and from_hash do not give RFC 9380's sign.
 */

/* Every value on the way, for the test vectors of RFC 9381, appendix B.4. Little-endian. */
struct ell2_trace {
	uint8_t uniform[48]; /* expand_message_xmd's output, as it comes: big-endian */
	uint8_t u[32];
	uint8_t gx1[32];
	uint8_t gx1_is_square; /* 0 or 1 */
	uint8_t x_parity;      /* of the Edwards x */
};

/*
 * Writes the encoding (RFC 8032) of the mapped point. The message is a ‖ b (b may be empty); the
 * DST is dst[0..dst_len], dst_len <= 255. `trace` may be NULL.
 */
void ell2_encode(uint8_t point[32], const uint8_t *dst, size_t dst_len, const uint8_t *a,
	size_t a_len, const uint8_t *b, size_t b_len, struct ell2_trace *trace);

#endif
