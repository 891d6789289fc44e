/* SPDX-License-Identifier: BSD-3-Clause */
#include "mix/early_drop.h"

#include <sodium.h>
#include <string.h>

void early_dice_init(struct early_dice *d, const uint8_t key[32])
{
	memset(d, 0, sizeof(*d));
	memcpy(d->key, key, sizeof(d->key));
}

bool early_dice_hit(struct early_dice *d, uint64_t chance)
{
	if (d->left == 0) {
		uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

		_Static_assert(sizeof(nonce) == sizeof(d->block), "the nonce is a counter");
		memcpy(nonce, &d->block, sizeof(nonce));
		d->block++;
		crypto_stream_chacha20((uint8_t *)d->draw, sizeof(d->draw), nonce, d->key);
		d->left = EARLY_DICE_DRAWS;
	}
	return d->draw[--d->left] < chance;
}
