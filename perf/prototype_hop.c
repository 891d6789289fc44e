/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The prototype's hop (../shared/prototypes/sphinx_hop) as a shared object, so that
 * perf_unwrap_burst can run it in turns with ours. Built by perf/prototype.sh, never part of the
 * project's programs.
 */
#define main prototype_main
#include "hop.c"
#undef main

int prototype_start(void);
void prototype_burst(void);

/* As the prototype's main does before it measures. */
int prototype_start(void)
{
	uint8_t zeros[64] = {0};

	if (sodium_init() < 0)
		return -1;
	for (int l = 0; l < 4; l++) {
		padst(Z1i[l], Z1o[l], zeros, 0);
		padst(S2i[l], S2o[l], (const uint8_t *)SALT2, 44);
	}
	randombytes_buf(kx, sizeof(kx));
	randombytes_buf(alpha, sizeof(alpha));
	randombytes_buf(hdr, sizeof(hdr));
	randombytes_buf(pay, sizeof(pay));
	for (int i = 0; i < N; i++)
		crypto_scalarmult_base(alpha[i], alpha[i]);
	return 0;
}

/* 128 packets of 1024 bytes of payload. */
void prototype_burst(void)
{
	burst(1024);
}
