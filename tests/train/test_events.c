/* Event files, decoded here by other means than those that wrote them: a bitwise CRC and a protobuf reader. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "train/events.h"

#define RECORDS_MAX 20000

struct record {
  double wall;
  int64_t step;
  char version[32], tag[256];
  float value;
};

static uint32_t crc32c(const uint8_t *data, size_t bytes) {
  uint32_t c = 0xffffffffu;
  for (size_t i = 0; i < bytes; i++)
    for (int bit = 0; bit < 8; bit++)
      c = ((c ^ (uint32_t)(data[i] >> bit)) & 1) ? (c >> 1) ^ 0x82f63b78u : c >> 1;
  return c ^ 0xffffffffu;
}

static uint32_t masked(const uint8_t *data, size_t bytes) {
  uint32_t c = crc32c(data, bytes);
  return ((c >> 15) | (c << 17)) + 0xa282ead8u;
}

static uint64_t fixed(const uint8_t *data, int bytes) {
  uint64_t value = 0;
  for (int i = bytes; i-- > 0;)
    value = value << 8 | data[i];
  return value;
}

static uint64_t varint(const uint8_t **at) {
  uint64_t value = 0;
  int shift = 0;
  do
    value |= (uint64_t)(**at & 0x7f) << shift, shift += 7;
  while (*(*at)++ & 0x80);
  return value;
}

/* Event, Summary and Value have different field numbers for what is used, so that one reader does: level 0, 1, 2. */
static void decode(struct record *out, const uint8_t *at, const uint8_t *end, int level) {
  while (at < end) {
    uint64_t key = varint(&at);
    unsigned field = (unsigned)(key >> 3), wire = key & 7;
    uint64_t number = 0;
    const uint8_t *text = NULL;
    if (wire == 0) {
      number = varint(&at);
    } else if (wire == 1) {
      number = fixed(at, 8), at += 8;
    } else if (wire == 5) {
      number = fixed(at, 4), at += 4;
    } else {
      assert_int_equal(wire, 2);
      number = varint(&at);
      text = at, at += number;
    }
    assert_true(at <= end);
    if (level == 0 && field == 1 && wire == 1)
      memcpy(&out->wall, &number, 8);
    else if (level == 0 && field == 2 && wire == 0)
      out->step = (int64_t)number;
    else if (level == 0 && field == 3 && text)
      snprintf(out->version, sizeof out->version, "%.*s", (int)number, (const char *)text);
    else if (level == 0 && field == 5 && text)
      decode(out, text, at, 1);
    else if (level == 1 && field == 1 && text)
      decode(out, text, at, 2);
    else if (level == 2 && field == 1 && text)
      snprintf(out->tag, sizeof out->tag, "%.*s", (int)number, (const char *)text);
    else if (level == 2 && field == 2 && wire == 5)
      memcpy(&out->value, &number, 4);
    else
      fail_msg("field %u of wire type %u at level %d", field, wire, level);
  }
}

/* Whole records of a file; *torn = bytes after the last of them. Every CRC is checked. */
static size_t read_records(struct record *out, size_t *torn, const char *path) {
  char *data = NULL;
  size_t bytes, count = 0, at = 0;
  struct plm_error err = PLM_ERROR_INIT;
  assert_int_equal(plm_file_read(&data, &bytes, path, 64 << 20, &err), 0);
  const uint8_t *file = (const uint8_t *)data;
  while (bytes - at >= 12) {
    uint64_t length = fixed(file + at, 8);
    assert_int_equal(fixed(file + at + 8, 4), masked(file + at, 8));
    if (bytes - at < 16 + length)
      break;
    assert_int_equal(fixed(file + at + 12 + length, 4), masked(file + at + 12, length));
    assert_true(count < RECORDS_MAX);
    memset(&out[count], 0, sizeof out[count]);
    decode(&out[count], file + at + 12, file + at + 12 + length, 0);
    count++;
    at += 16 + length;
  }
  *torn = bytes - at;
  free(data);
  return count;
}

struct fixture {
  char folder[32];
  char path[300]; /* of the one event file */
  struct record *records;
};

static int setup(void **state) {
  struct fixture *f = calloc(1, sizeof *f);
  strcpy(f->folder, "/tmp/plm-events-XXXXXX");
  f->records = calloc(RECORDS_MAX, sizeof *f->records);
  *state = f;
  return !f->records || !mkdtemp(f->folder);
}

static void each_file(struct fixture *f, int remove_it, int *count) {
  DIR *entries = opendir(f->folder);
  assert_non_null(entries);
  *count = 0;
  for (struct dirent *entry; (entry = readdir(entries));) {
    if (entry->d_name[0] == '.')
      continue;
    ++*count;
    snprintf(f->path, sizeof f->path, "%s/%.250s", f->folder, entry->d_name);
    if (remove_it)
      unlink(f->path);
  }
  closedir(entries);
}

static int teardown(void **state) {
  struct fixture *f = *state;
  int count;
  each_file(f, 1, &count);
  rmdir(f->folder);
  free(f->records);
  free(f);
  return 0;
}

static void test_events__crc_of_the_check_string(void **state) {
  (void)state;
  assert_int_equal(crc32c((const uint8_t *)"123456789", 9), 0xe3069283u);
}

static void test_events__records_read_back(void **state) {
  struct fixture *f = *state;
  struct plm_events *events;
  struct plm_error err = PLM_ERROR_INIT;
  int files;
  size_t torn;
  double before = (double)time(NULL) - 1;
  assert_int_equal(plm_events_create(&events, f->folder, &err), 0);
  assert_int_equal(plm_events_scalar(events, "train/loss_mask", 1, 3.25, &err), 0);
  assert_int_equal(plm_events_scalar(events, "train/loss_mask", 300, -0.5, &err), 0);
  assert_int_equal(plm_events_scalar(events, "valid/loss_all", INT64_C(1) << 40, NAN, &err), 0);
  plm_events_close(events);
  each_file(f, 0, &files);
  assert_int_equal(files, 1);
  assert_non_null(strstr(f->path, "/events.out.tfevents."));
  assert_int_equal(read_records(f->records, &torn, f->path), 4);
  assert_int_equal(torn, 0);
  const struct record *r = f->records;
  assert_string_equal(r[0].version, "brain.Event:2");
  assert_true(r[0].wall >= before && r[3].wall <= (double)time(NULL) + 1);
  assert_string_equal(r[1].tag, "train/loss_mask");
  assert_true(r[1].step == 1 && r[1].value == 3.25f);
  assert_true(r[2].step == 300 && r[2].value == -0.5f);
  assert_string_equal(r[3].tag, "valid/loss_all");
  assert_true(r[3].step == INT64_C(1) << 40 && isnan(r[3].value));
}

static void test_events__more_than_a_buffer_is_kept_in_order(void **state) {
  enum { COUNT = 5000 };
  struct fixture *f = *state;
  struct plm_events *events;
  struct plm_error err = PLM_ERROR_INIT;
  int files;
  size_t torn;
  assert_int_equal(plm_events_create(&events, f->folder, &err), 0);
  for (int i = 0; i < COUNT; i++)
    assert_int_equal(plm_events_scalar(events, "train/a tag of some length, to fill the buffer", i, i * 0.25, &err), 0);
  assert_int_equal(plm_events_flush(events, &err), 0);
  each_file(f, 0, &files);
  assert_int_equal(read_records(f->records, &torn, f->path), COUNT + 1);
  assert_int_equal(torn, 0);
  for (int i = 0; i < COUNT; i++)
    assert_true(f->records[i + 1].step == i && f->records[i + 1].value == (float)i * 0.25f);
  plm_events_close(events);
}

static void test_events__torn_tail_hides_only_itself(void **state) {
  struct fixture *f = *state;
  struct plm_events *events;
  struct plm_error err = PLM_ERROR_INIT;
  int files;
  size_t torn, last = 0;
  assert_int_equal(plm_events_create(&events, f->folder, &err), 0);
  for (int i = 0; i < 3; i++)
    assert_int_equal(plm_events_scalar(events, "loss", i, 1, &err), 0);
  plm_events_close(events);
  each_file(f, 0, &files);
  FILE *file = fopen(f->path, "r");
  assert_non_null(file);
  assert_int_equal(fseek(file, 0, SEEK_END), 0);
  long size = ftell(file);
  fclose(file);
  for (long cut = 1; cut < 40; cut++) {
    assert_int_equal(truncate(f->path, size - cut), 0);
    size_t whole = read_records(f->records, &torn, f->path);
    assert_true(whole == 3 || (whole == 2 && torn == 0));
    last += whole == 3;
    assert_string_equal(f->records[0].version, "brain.Event:2");
  }
  assert_true(last > 30);
}

static void test_events__unusable_tags_are_refused(void **state) {
  struct fixture *f = *state;
  struct plm_events *events;
  struct plm_error err = PLM_ERROR_INIT;
  char tag[1000];
  memset(tag, 'x', sizeof tag - 1);
  tag[sizeof tag - 1] = 0;
  assert_int_equal(plm_events_create(&events, f->folder, &err), 0);
  assert_int_equal(plm_events_scalar(events, tag, 0, 0, &err), PLM_E_INVALID);
  assert_int_equal(plm_events_scalar(events, "", 0, 0, &err), PLM_E_INVALID);
  tag[200] = 0;
  assert_int_equal(plm_events_scalar(events, tag, -1, 0, &err), 0);
  plm_events_close(events);
}

static void test_events__two_files_of_one_process_are_two(void **state) {
  struct fixture *f = *state;
  struct plm_events *one, *two;
  struct plm_error err = PLM_ERROR_INIT;
  int files;
  assert_int_equal(plm_events_create(&one, f->folder, &err), 0);
  assert_int_equal(plm_events_create(&two, f->folder, &err), 0);
  plm_events_close(one);
  plm_events_close(two);
  each_file(f, 0, &files);
  assert_int_equal(files, 2);
}

static void test_events__a_missing_folder_is_an_error(void **state) {
  struct plm_events *events = NULL;
  struct plm_error err = PLM_ERROR_INIT;
  (void)state;
  assert_int_equal(plm_events_create(&events, "/tmp/plm-no-such-folder", &err), PLM_E_IO);
  assert_null(events);
  assert_non_null(strstr(err.text, "/tmp/plm-no-such-folder"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_events__crc_of_the_check_string),
      cmocka_unit_test_setup_teardown(test_events__records_read_back, setup, teardown),
      cmocka_unit_test_setup_teardown(test_events__more_than_a_buffer_is_kept_in_order, setup, teardown),
      cmocka_unit_test_setup_teardown(test_events__torn_tail_hides_only_itself, setup, teardown),
      cmocka_unit_test_setup_teardown(test_events__unusable_tags_are_refused, setup, teardown),
      cmocka_unit_test_setup_teardown(test_events__two_files_of_one_process_are_two, setup, teardown),
      cmocka_unit_test(test_events__a_missing_folder_is_an_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
