/*
 * A text file as a stream of bytes, unpacked on the way when it is compressed (gzip, bzip2, xz, lzma, lzip, zstd, lz4,
 * compress; concatenated members too), with the SHA-256 of the bytes on disk. "-" is standard input.
 */
#ifndef PLM_DATA_SOURCE_H
#define PLM_DATA_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"

/* Opaque, owned by the caller; close takes NULL. An empty file opens and ends at once. */
struct plm_source;
int plm_source_open(struct plm_source **out, const char *path, struct plm_error *err);
void plm_source_close(struct plm_source *source);

/* The name for messages: the path, or "stdin". Borrowed until close. */
const char *plm_source_name(const struct plm_source *source);

/*
 * The next piece of text, borrowed until the next call; *bytes = 0 at the end. PLM_E_DAMAGED: compressed data that is
 * cut short or broken, or bytes after its end. line is only for the message: FILE:LINE.
 */
int plm_source_read(struct plm_source *source, const char **data, size_t *bytes, uint64_t line, struct plm_error *err);

/* Bytes on disk consumed so far. */
uint64_t plm_source_position(const struct plm_source *source);

/* After the end was read: SHA-256 of all bytes on disk. */
int plm_source_digest(struct plm_source *source, char out[PLM_SHA256_TEXT], struct plm_error *err);

#endif
