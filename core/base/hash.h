/* XXH3-128 for integrity and identity, SHA-256 for published digests. Both as lower-case hexadecimal. */
#ifndef PLM_BASE_HASH_H
#define PLM_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define PLM_HASH_TEXT 33   /* 32 digits and NUL */
#define PLM_SHA256_TEXT 65 /* 64 digits and NUL */

void plm_hash_text(char out[PLM_HASH_TEXT], const void *data, size_t bytes);
uint64_t plm_hash_64(const void *data, size_t bytes);

/* Streaming SHA-256; opaque, owned by the caller, released by finish or destroy. */
struct plm_sha256;
int plm_sha256_create(struct plm_sha256 **out, struct plm_error *err);
int plm_sha256_update(struct plm_sha256 *sha, const void *data, size_t bytes, struct plm_error *err);
int plm_sha256_finish(struct plm_sha256 *sha, char out[PLM_SHA256_TEXT], struct plm_error *err);
void plm_sha256_destroy(struct plm_sha256 *sha);

/* SHA-256 of a whole file. */
int plm_sha256_file(char out[PLM_SHA256_TEXT], const char *path, struct plm_error *err);

#endif
