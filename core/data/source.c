#include "data/source.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#include "base/memory.h"

#define RAW_BYTES (256 * 1024)
#define TEXT_BYTES (256 * 1024)

struct plm_source {
  const char *name;
  char *path;
  int fd;
  struct archive *archive;
  struct plm_sha256 *sha;
  struct plm_error raw_error; /* of the read callback, where only -1 can be returned */
  uint64_t position;
  int empty, ended;
  size_t held; /* bytes of raw that were read to see what the file is, and not used yet */
  /* gzip is unpacked by zlib: libarchive 3.6 does not compare a member's checksum and length with its content. */
  int is_gzip, in_member;
  uint64_t members;
  z_stream zlib;
  char raw[RAW_BYTES];
  char text[TEXT_BYTES];
};

/* A whole piece of the file into raw, hashed, also from a pipe that gives less at a time; 0 at the end, -1 with
 * raw_error. */
static ssize_t read_file(struct plm_source *source) {
  size_t filled = 0;
  while (filled < RAW_BYTES) {
    ssize_t got = read(source->fd, source->raw + filled, RAW_BYTES - filled);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0) {
      plm_error_set_system(&source->raw_error, errno, "input \"%s\": cannot be read", source->name);
      return -1;
    }
    if (got == 0)
      break;
    filled += (size_t)got;
  }
  if (filled > 0 && plm_sha256_update(source->sha, source->raw, filled, &source->raw_error) != 0)
    return -1;
  source->position += filled;
  return (ssize_t)filled;
}

/* libarchive's read callback. */
static la_ssize_t read_raw(struct archive *archive, void *user, const void **data) {
  struct plm_source *source = user;
  ssize_t got = source->held > 0 ? (ssize_t)source->held : read_file(source);
  source->held = 0;
  if (got < 0)
    archive_set_error(archive, EIO, "read failed");
  *data = source->raw;
  return got;
}

static int fail(struct plm_source *source, uint64_t line, const char *reason, struct plm_error *err) {
  if (source->raw_error.code != 0) {
    *err = source->raw_error;
    return err->code;
  }
  return plm_error_set(err, PLM_E_DAMAGED, "%s:%llu: the compressed data is damaged or cut short: %s", source->name,
                       (unsigned long long)line, reason != NULL ? reason : "no reason given");
}

static int fail_tail(const struct plm_source *source, uint64_t line, uint64_t used, struct plm_error *err) {
  return plm_error_set(err, PLM_E_DAMAGED, "%s:%llu: bytes follow the end of the compressed data at byte %llu",
                       source->name, (unsigned long long)line, (unsigned long long)used);
}

/* Filters are named one by one: libarchive's "all" would start helper programs for some formats. */
static int set_up_archive(struct archive *archive) {
  int bad = 0;
  bad |= archive_read_support_format_raw(archive) != ARCHIVE_OK;
  bad |= archive_read_support_format_empty(archive) != ARCHIVE_OK;
  bad |= archive_read_support_filter_bzip2(archive) != ARCHIVE_OK;
  bad |= archive_read_support_filter_xz(archive) != ARCHIVE_OK;
  bad |= archive_read_support_filter_lzma(archive) != ARCHIVE_OK;
  bad |= archive_read_support_filter_lzip(archive) != ARCHIVE_OK;
  bad |= archive_read_support_filter_zstd(archive) != ARCHIVE_OK;
  bad |= archive_read_support_filter_lz4(archive) != ARCHIVE_OK;
  bad |= archive_read_support_filter_compress(archive) != ARCHIVE_OK;
  return bad;
}

static int open_archive(struct plm_source *source, struct plm_error *err) {
  source->archive = archive_read_new();
  if (source->archive == NULL)
    return plm_error_memory(err, "an input stream");
  if (set_up_archive(source->archive) != 0)
    return plm_error_set(err, PLM_E_INTERNAL, "input \"%s\": libarchive lacks a filter: %s", source->name,
                         archive_error_string(source->archive));
  if (archive_read_open(source->archive, source, NULL, read_raw, NULL) != ARCHIVE_OK)
    return fail(source, 1, archive_error_string(source->archive), err);
  struct archive_entry *entry;
  int got = archive_read_next_header(source->archive, &entry);
  if (got == ARCHIVE_EOF)
    source->empty = 1;
  else if (got != ARCHIVE_OK)
    return fail(source, 1, archive_error_string(source->archive), err);
  return 0;
}

/* Reads the first piece, and chooses who unpacks it by its first two bytes. */
static int open_content(struct plm_source *source, struct plm_error *err) {
  ssize_t got = read_file(source);
  if (got < 0)
    return fail(source, 1, NULL, err);
  source->held = (size_t)got;
  if (got < 2 || memcmp(source->raw, "\x1f\x8b", 2) != 0)
    return open_archive(source, err);
  if (inflateInit2(&source->zlib, 16 + MAX_WBITS) != Z_OK)
    return plm_error_memory(err, "unpacking gzip");
  source->is_gzip = source->in_member = 1;
  source->zlib.next_in = (unsigned char *)source->raw;
  source->zlib.avail_in = (unsigned)got;
  return 0;
}

int plm_source_open(struct plm_source **out, const char *path, struct plm_error *err) {
  int from_stdin = strcmp(path, "-") == 0;
  struct plm_source *source = plm_memory_zeroed(1, sizeof *source);
  if (source == NULL)
    return plm_error_memory(err, "an input stream");
  source->fd = -1;
  source->raw_error = (struct plm_error)PLM_ERROR_INIT;
  source->path = strdup(from_stdin ? "stdin" : path);
  source->name = source->path;
  int code = source->path == NULL ? plm_error_memory(err, "an input's name") : 0;
  if (code == 0) {
    source->fd = from_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (source->fd < 0)
      code = plm_error_set_system(err, errno, "input \"%s\": cannot be opened", source->name);
  }
  if (code == 0)
    code = plm_sha256_create(&source->sha, err);
  if (code == 0)
    code = open_content(source, err);
  if (code != 0) {
    plm_source_close(source);
    return code;
  }
  *out = source;
  return 0;
}

void plm_source_close(struct plm_source *source) {
  if (source == NULL)
    return;
  if (source->is_gzip)
    inflateEnd(&source->zlib);
  archive_read_free(source->archive);
  plm_sha256_destroy(source->sha);
  if (source->fd >= 0)
    close(source->fd);
  free(source->path);
  free(source);
}

const char *plm_source_name(const struct plm_source *source) { return source->name; }

uint64_t plm_source_position(const struct plm_source *source) { return source->position; }

/* libarchive stops in silence where what follows a member is not another one; half a member would go unseen. */
static int check_end(struct plm_source *source, uint64_t line, struct plm_error *err) {
  const void *rest;
  la_ssize_t got = read_raw(source->archive, source, &rest);
  if (got < 0)
    return fail(source, line, archive_error_string(source->archive), err);
  int64_t used = archive_filter_bytes(source->archive, -1);
  if (got > 0 || (used >= 0 && (uint64_t)used < source->position))
    return fail_tail(source, line, used < 0 ? 0 : (uint64_t)used, err);
  source->ended = 1;
  return 0;
}

/* Makes bytes available to inflate. 0 at the end of the file. */
static int refill_gzip(struct plm_source *source, ssize_t *got) {
  *got = source->zlib.avail_in;
  if (*got > 0)
    return 0;
  *got = read_file(source);
  if (*got < 0)
    return -1;
  source->zlib.next_in = (unsigned char *)source->raw;
  source->zlib.avail_in = (unsigned)*got;
  return 0;
}

/* Text of one or more gzip members. *bytes = 0 at the end. */
static int read_gzip(struct plm_source *source, size_t *bytes, uint64_t line, struct plm_error *err) {
  z_stream *zlib = &source->zlib;
  zlib->next_out = (unsigned char *)source->text;
  zlib->avail_out = TEXT_BYTES;
  while (zlib->avail_out > 0) {
    ssize_t got;
    if (refill_gzip(source, &got) != 0)
      return fail(source, line, NULL, err);
    if (got == 0 && source->in_member)
      return fail(source, line, "the file ends inside a gzip member", err);
    if (got == 0)
      break;
    if (!source->in_member && inflateReset(zlib) != Z_OK)
      return fail(source, line, "zlib cannot go on", err);
    source->in_member = 1;
    int status = inflate(zlib, Z_NO_FLUSH);
    if (status == Z_STREAM_END) {
      source->in_member = 0;
      source->members++;
    } else if (status != Z_OK && source->members > 0 && zlib->total_out == 0) {
      return fail_tail(source, line, source->position - zlib->avail_in, err);
    } else if (status != Z_OK) {
      return fail(source, line, zlib->msg, err);
    }
  }
  *bytes = TEXT_BYTES - zlib->avail_out;
  source->ended = *bytes == 0;
  return 0;
}

int plm_source_read(struct plm_source *source, const char **data, size_t *bytes, uint64_t line, struct plm_error *err) {
  *data = source->text;
  if (source->is_gzip && !source->ended)
    return read_gzip(source, bytes, line, err);
  la_ssize_t got = source->empty || source->ended ? 0 : archive_read_data(source->archive, source->text, TEXT_BYTES);
  if (got < 0)
    return fail(source, line, archive_error_string(source->archive), err);
  if (got == 0 && !source->ended) {
    int code = check_end(source, line, err);
    if (code != 0)
      return code;
  }
  *bytes = (size_t)got;
  return 0;
}

int plm_source_digest(struct plm_source *source, char out[PLM_SHA256_TEXT], struct plm_error *err) {
  if (!source->ended || source->sha == NULL)
    return plm_error_set(err, PLM_E_INVALID, "input \"%s\": its digest is asked for before its end", source->name);
  struct plm_sha256 *sha = source->sha;
  source->sha = NULL; /* finish releases it */
  return plm_sha256_finish(sha, out, err);
}
