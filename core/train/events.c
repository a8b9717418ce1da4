#include "train/events.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

#define BUFFER_BYTES (64u << 10)
#define PAYLOAD_BYTES_MAX 512u
#define FRAME_BYTES 16u /* length, its CRC, the payload's CRC */
#define TAG_MAX 200u
#define NAMES_MAX 100 /* files of one process made within one second */

#define CRC_POLYNOMIAL 0x82F63B78u /* CRC-32C, reflected */
#define CRC_MASK_DELTA 0xA282EAD8u

struct plm_events {
  char *path;
  int fd;
  off_t whole; /* bytes of whole records in the file */
  size_t used;
  uint32_t crc[256];
  uint8_t buffer[BUFFER_BYTES];
};

/* A protobuf message under way. */
struct message {
  uint8_t bytes[PAYLOAD_BYTES_MAX];
  size_t used;
};

static void crc_table(uint32_t table[256]) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; bit++)
      c = c & 1 ? c >> 1 ^ CRC_POLYNOMIAL : c >> 1;
    table[i] = c;
  }
}

/* Masked: data that hold their own CRC would otherwise give it a constant one. */
static uint32_t masked_crc(const struct plm_events *events, const uint8_t *data, size_t bytes) {
  uint32_t c = UINT32_MAX;
  for (size_t i = 0; i < bytes; i++)
    c = events->crc[(c ^ data[i]) & 0xff] ^ c >> 8;
  c = ~c;
  return (c >> 15 | c << 17) + CRC_MASK_DELTA;
}

static void put_fixed(uint8_t *out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++)
    out[i] = (uint8_t)(value >> 8 * i);
}

static void add_varint(struct message *message, uint64_t value) {
  for (; value > 0x7f; value >>= 7)
    message->bytes[message->used++] = (uint8_t)(value | 0x80);
  message->bytes[message->used++] = (uint8_t)value;
}

/* A field's key: its number and how it is stored (0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes). */
static void add_key(struct message *message, unsigned field, unsigned wire) {
  add_varint(message, field << 3 | wire);
}

static void add_double(struct message *message, unsigned field, double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  add_key(message, field, 1);
  put_fixed(message->bytes + message->used, bits, 8);
  message->used += 8;
}

static void add_float(struct message *message, unsigned field, double value) {
  float narrow = (float)value;
  uint32_t bits;
  memcpy(&bits, &narrow, sizeof bits);
  add_key(message, field, 5);
  put_fixed(message->bytes + message->used, bits, 4);
  message->used += 4;
}

static void add_bytes(struct message *message, unsigned field, const void *data, size_t bytes) {
  add_key(message, field, 2);
  add_varint(message, bytes);
  memcpy(message->bytes + message->used, data, bytes);
  message->used += bytes;
}

/* Event { 1: wall_time; 2: step; .. }. */
static void start_event(struct message *message, int64_t step) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  message->used = 0;
  add_double(message, 1, (double)now.tv_sec + 1e-9 * (double)now.tv_nsec);
  add_key(message, 2, 0);
  add_varint(message, (uint64_t)step);
}

static int add_record(struct plm_events *events, const struct message *payload, struct plm_error *err) {
  if (events->used + FRAME_BYTES + payload->used > BUFFER_BYTES) {
    int code = plm_events_flush(events, err);
    if (code)
      return code;
  }
  uint8_t *out = events->buffer + events->used;
  put_fixed(out, payload->used, 8);
  put_fixed(out + 8, masked_crc(events, out, 8), 4);
  memcpy(out + 12, payload->bytes, payload->used);
  put_fixed(out + 12 + payload->used, masked_crc(events, payload->bytes, payload->used), 4);
  events->used += FRAME_BYTES + payload->used;
  return 0;
}

static int open_file(struct plm_events *events, const char *folder, struct plm_error *err) {
  char host[65] = "localhost";
  gethostname(host, sizeof host - 1);
  for (char *c = host; *c; c++)
    if (*c == '/')
      *c = '_';
  for (int i = 0; i < NAMES_MAX; i++) {
    char suffix[16] = "";
    if (i)
      snprintf(suffix, sizeof suffix, ".%d", i);
    free(events->path);
    events->path = plm_memory_format("%s/events.out.tfevents.%lld.%s.%ld%s", folder, (long long)time(NULL), host,
                                     (long)getpid(), suffix);
    if (!events->path)
      return plm_error_memory(err, "creating an event file");
    events->fd = open(events->path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    if (events->fd >= 0)
      return 0;
    if (errno != EEXIST)
      break;
  }
  return plm_error_set_system(err, errno, "cannot create \"%s\"", events->path);
}

int plm_events_create(struct plm_events **out, const char *folder, struct plm_error *err) {
  static const char version[] = "brain.Event:2";
  struct message message;
  struct plm_events *events = plm_memory_zeroed(1, sizeof *events);
  if (!events)
    return plm_error_memory(err, "creating an event file");
  events->fd = -1;
  crc_table(events->crc);
  int code = open_file(events, folder, err);
  if (!code) {
    start_event(&message, 0);
    add_bytes(&message, 3, version, sizeof version - 1);
    if (!(code = add_record(events, &message, err)))
      code = plm_events_flush(events, err);
  }
  if (code)
    plm_events_close(events);
  else
    *out = events;
  return code;
}

int plm_events_scalar(struct plm_events *events, const char *tag, int64_t step, double value, struct plm_error *err) {
  struct message event, summary = {.used = 0}, scalar = {.used = 0};
  size_t length = strlen(tag);
  if (length == 0 || length > TAG_MAX)
    return plm_error_set(err, PLM_E_INVALID, "event tag \"%.60s\": %zu bytes, 1 to %u are possible", tag, length,
                         TAG_MAX);
  add_bytes(&scalar, 1, tag, length);
  add_float(&scalar, 2, value);
  add_bytes(&summary, 1, scalar.bytes, scalar.used);
  start_event(&event, step);
  add_bytes(&event, 5, summary.bytes, summary.used);
  return add_record(events, &event, err);
}

int plm_events_flush(struct plm_events *events, struct plm_error *err) {
  size_t done = 0;
  while (done < events->used) {
    ssize_t written = write(events->fd, events->buffer + done, events->used - done);
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0) {
      int number = errno;
      /* Half a record would hide all later ones from readers. What is buffered stays for the next flush. */
      if (done && ftruncate(events->fd, events->whole))
        return plm_error_set_system(err, errno, "cannot cut \"%s\" back to whole records", events->path);
      return plm_error_set_system(err, number, "cannot write \"%s\"", events->path);
    }
    done += (size_t)written;
  }
  events->whole += (off_t)events->used;
  events->used = 0;
  return 0;
}

void plm_events_close(struct plm_events *events) {
  if (!events)
    return;
  if (events->fd >= 0) {
    plm_events_flush(events, NULL);
    close(events->fd);
  }
  free(events->path);
  free(events);
}
