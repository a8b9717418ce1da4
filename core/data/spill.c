#include "data/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

#define SPILL_BUFFER (1u << 20)
#define NAME_MAX_BYTES 255u

struct spill_head {
  uint64_t line;
  uint32_t source, length, name_bytes, reserved;
};

struct plm_spill {
  FILE *file;
  char *buffer;
  char name[NAME_MAX_BYTES + 1];
  uint8_t *tokens;
  size_t capacity;
};

/* A file without a name. */
static int open_scratch(int *out, const char *output, const char *tag, struct plm_error *err) {
  char *temporary = plm_file_temporary(output);
  char *path = temporary != NULL ? plm_memory_format("%s.%s", temporary, tag) : NULL;
  free(temporary);
  if (path == NULL)
    return plm_error_memory(err, "naming a scratch file");
  int code = 0;
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) {
    code = plm_error_set_system(err, errno, "scratch file \"%s\": cannot be created", path);
  } else if (unlink(path) != 0) {
    code = plm_error_set_system(err, errno, "scratch file \"%s\": cannot be unlinked", path);
    close(fd);
  } else {
    *out = fd;
  }
  free(path);
  return code;
}

int plm_spill_create(struct plm_spill **out, const char *output, struct plm_error *err) {
  struct plm_spill *spill = plm_memory_zeroed(1, sizeof *spill);
  if (spill == NULL)
    return plm_error_memory(err, "a scratch file");
  int fd = -1;
  int code = open_scratch(&fd, output, "spill", err);
  if (code == 0) {
    spill->buffer = malloc(SPILL_BUFFER);
    spill->file = spill->buffer != NULL ? fdopen(fd, "w+") : NULL;
    if (spill->file == NULL) {
      close(fd);
      code = plm_error_memory(err, "a scratch file");
    } else if (setvbuf(spill->file, spill->buffer, _IOFBF, SPILL_BUFFER) != 0) {
      code = plm_error_set(err, PLM_E_INTERNAL, "scratch file of \"%s\": no buffer", output);
    }
  }
  if (code != 0) {
    plm_spill_destroy(spill);
    return code;
  }
  *out = spill;
  return 0;
}

void plm_spill_destroy(struct plm_spill *spill) {
  if (spill == NULL)
    return;
  if (spill->file != NULL)
    fclose(spill->file);
  free(spill->buffer);
  free(spill->tokens);
  free(spill);
}

int plm_spill_add(struct plm_spill *spill, const struct plm_spill_record *record, struct plm_error *err) {
  struct spill_head head = {record->line, record->source, record->length, 0, 0};
  head.name_bytes = (uint32_t)strnlen(record->name, NAME_MAX_BYTES);
  if (fwrite(&head, sizeof head, 1, spill->file) != 1 ||
      fwrite(record->name, 1, head.name_bytes, spill->file) != head.name_bytes ||
      fwrite(record->tokens, 1, head.length, spill->file) != head.length)
    return plm_error_set_system(err, errno, "scratch file: cannot be written");
  return 0;
}

int plm_spill_rewind(struct plm_spill *spill, struct plm_error *err) {
  if (fflush(spill->file) != 0 || fseeko(spill->file, 0, SEEK_SET) != 0)
    return plm_error_set_system(err, errno, "scratch file: cannot be written");
  return 0;
}

int plm_spill_next(struct plm_spill *spill, struct plm_spill_record *out, struct plm_error *err) {
  struct spill_head head;
  if (fread(&head, sizeof head, 1, spill->file) != 1 || head.name_bytes > NAME_MAX_BYTES)
    return plm_error_set(err, PLM_E_INTERNAL, "scratch file: it ends early");
  if (plm_memory_grow((void **)&spill->tokens, &spill->capacity, (size_t)head.length + 1, 1) != 0)
    return plm_error_memory(err, "a sequence");
  if (fread(spill->name, 1, head.name_bytes, spill->file) != head.name_bytes ||
      fread(spill->tokens, 1, head.length, spill->file) != head.length)
    return plm_error_set(err, PLM_E_INTERNAL, "scratch file: it ends early");
  spill->name[head.name_bytes] = '\0';
  *out = (struct plm_spill_record){head.line, head.source, head.length, spill->name, spill->tokens};
  return 0;
}

/* ------------------------------------------------------------- partitions */

#define BLOCK_BYTES 8192u
#define BLOCK_NONE UINT64_MAX

/* The file is a heap of blocks; those of one partition are chained backwards. */
struct block {
  uint64_t before; /* file offset of the block before, or BLOCK_NONE */
  uint64_t count;  /* records in it */
  unsigned char records[BLOCK_BYTES - 16];
};

struct plm_partition {
  int fd;
  size_t record_bytes, block_records;
  uint64_t end;                    /* of the file */
  uint64_t totals[PLM_PARTITIONS]; /* records per heap */
  unsigned char *loaded;
  size_t loaded_capacity;
  struct block blocks[PLM_PARTITIONS];
};

int plm_partition_create(struct plm_partition **out, const char *output, const char *tag, size_t record_bytes,
                         struct plm_error *err) {
  struct plm_partition *partition = plm_memory_zeroed(1, sizeof *partition);
  if (partition == NULL)
    return plm_error_memory(err, "a scratch file");
  partition->record_bytes = record_bytes;
  partition->block_records = sizeof partition->blocks[0].records / record_bytes;
  for (uint32_t i = 0; i < PLM_PARTITIONS; i++)
    partition->blocks[i].before = BLOCK_NONE;
  int code = open_scratch(&partition->fd, output, tag, err);
  if (code != 0) {
    free(partition);
    return code;
  }
  *out = partition;
  return 0;
}

void plm_partition_destroy(struct plm_partition *partition) {
  if (partition == NULL)
    return;
  close(partition->fd);
  free(partition->loaded);
  free(partition);
}

static int write_block(struct plm_partition *partition, struct block *block, struct plm_error *err) {
  const char *from = (const char *)block;
  for (size_t done = 0; done < sizeof *block;) {
    ssize_t wrote = pwrite(partition->fd, from + done, sizeof *block - done, (off_t)(partition->end + done));
    if (wrote < 0 && errno == EINTR)
      continue;
    if (wrote <= 0)
      return plm_error_set_system(err, wrote < 0 ? errno : ENOSPC, "scratch file: cannot be written");
    done += (size_t)wrote;
  }
  block->before = partition->end;
  block->count = 0;
  partition->end += sizeof *block;
  return 0;
}

static int read_block(struct plm_partition *partition, struct block *block, uint64_t offset, struct plm_error *err) {
  char *into = (char *)block;
  for (size_t done = 0; done < sizeof *block;) {
    ssize_t got = pread(partition->fd, into + done, sizeof *block - done, (off_t)(offset + done));
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return plm_error_set_system(err, got < 0 ? errno : EIO, "scratch file: cannot be read");
    done += (size_t)got;
  }
  return 0;
}

int plm_partition_add(struct plm_partition *partition, uint64_t key, const void *record, struct plm_error *err) {
  uint32_t number = (uint32_t)(key >> 56);
  struct block *block = &partition->blocks[number];
  if (block->count == partition->block_records) {
    int code = write_block(partition, block, err);
    if (code != 0)
      return code;
  }
  memcpy(block->records + block->count * partition->record_bytes, record, partition->record_bytes);
  block->count++;
  partition->totals[number]++;
  return 0;
}

int plm_partition_load(struct plm_partition *partition, uint32_t number, void **records, size_t *count,
                       struct plm_error *err) {
  uint64_t total = partition->totals[number];
  if (plm_memory_grow((void **)&partition->loaded, &partition->loaded_capacity, (size_t)total + 1,
                      partition->record_bytes) != 0)
    return plm_error_memory(err, "sorting sequences");
  struct block *block = &partition->blocks[number];
  size_t done = 0;
  struct block read;
  for (;;) {
    size_t bytes = (size_t)block->count * partition->record_bytes;
    memcpy(partition->loaded + done, block->records, bytes);
    done += bytes;
    if (block->before == BLOCK_NONE)
      break;
    int code = read_block(partition, &read, block->before, err);
    if (code != 0)
      return code;
    block = &read;
  }
  *records = partition->loaded;
  *count = (size_t)total;
  return 0;
}
