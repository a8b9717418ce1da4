/* plmscale data build | info */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/number.h"
#include "cli/cli.h"
#include "data/corpus_build.h"
#include "data/corpus_info.h"

/* ------------------------------------------------------------------ build */

enum {
  KEY_VALID = 1000,
  KEY_TEST,
  KEY_SEED,
  KEY_CLUSTERS,
  KEY_CLUSTER_COLUMN,
  KEY_CLUSTERS_MISSING,
  KEY_VALID_FASTA,
  KEY_TEST_FASTA,
  KEY_LENGTH_MIN,
  KEY_LENGTH_MAX,
  KEY_SKIP_BAD,
  KEY_FORCE,
};

static const struct argp_option build_keys[] = {
    {NULL, 'o', "FILE", 0, "the corpus to write (required)", 0},
    {"output", 'o', "FILE", OPTION_ALIAS, NULL, 0},
    {"force", KEY_FORCE, NULL, 0, "replace an existing OUT", 0},
    {NULL, 0, NULL, 0, "Filters:", 1},
    {"min-length", KEY_LENGTH_MIN, "N", 0, "drop sequences with fewer residues (default 11)", 1},
    {"max-length", KEY_LENGTH_MAX, "N", 0,
     "drop sequences with more residues (default: none is dropped, and more than 100000 is an error)", 1},
    {"skip-bad", KEY_SKIP_BAD, NULL, 0, "drop and count records with a byte that is not a residue, instead of stopping",
     1},
    {NULL, 0, NULL, 0, "Splits:", 2},
    {"valid", KEY_VALID, "FRACTION", 0, "share of sequences (or clusters) held out for validation (default 0.02)", 2},
    {"test", KEY_TEST, "FRACTION", 0, "the same for testing (default 0.02)", 2},
    {"seed", KEY_SEED, "N", 0, "another seed is another split (default 0)", 2},
    {"clusters", KEY_CLUSTERS, "FILE", 0, "split by cluster: MMseqs2's _cluster.tsv, plain or compressed", 2},
    {"cluster-column", KEY_CLUSTER_COLUMN, "N", 0,
     "FILE has a header line, names in column 1 and clusters in column N, from 2", 2},
    {"clusters-missing", KEY_CLUSTERS_MISSING, "error|own", 0,
     "a sequence without an entry is an error (default), or its own cluster", 2},
    {"valid-fasta", KEY_VALID_FASTA, "FILE", 0, "the validation split as it stands; equal sequences leave the inputs",
     2},
    {"test-fasta", KEY_TEST_FASTA, "FILE", 0, "the test split, likewise", 2},
    {0}};

static const char build_text[] =
    "Builds a corpus file from FASTA files, plain or compressed (gz, bz2, xz, zst, lz4), in constant memory. "
    "IN may be - for standard input.\v"
    "How letters become tokens: lower case is upper-cased; the 20 standard residues and X B U Z O are kept as they are; "
    "J becomes X; '*' at the end is dropped, inside a sequence it becomes X; '-' and '.' are dropped; any other byte is "
    "an error that names FILE:LINE. All of it is counted, and kept in the corpus.\n\n"
    "Exact duplicates are dropped, the first is kept. The split of a sequence depends on the seed and its residues (or "
    "its cluster) alone.\n\n"
    "Example: plmscale data build uniref50.fasta.gz --clusters uniref50_cluster.tsv -o corpus.h5";

struct build_arguments {
  struct plm_corpus_build_options options;
  const char **inputs;
  int valid_given, test_given;
  struct plm_error err; /* the first value at fault */
};

/* A whole number option. */
static int take_integer(uint64_t *out, const char *name, const char *text, struct plm_error *err) {
  int64_t value;
  struct plm_error inner = PLM_ERROR_INIT;
  if (plm_number_integer(&value, text, &inner) != 0)
    return plm_error_set(err, PLM_E_USAGE, "--%s \"%.40s\": %s", name, text, inner.text);
  *out = (uint64_t)value;
  return 0;
}

static int take_fraction(double *out, const char *name, const char *text, struct plm_error *err) {
  struct plm_error inner = PLM_ERROR_INIT;
  double value;
  if (plm_number_real(&value, text, &inner) != 0)
    return plm_error_set(err, PLM_E_USAGE, "--%s \"%.40s\": %s", name, text, inner.text);
  *out = value;
  return 0;
}

static int take_column(uint32_t *out, const char *text, struct plm_error *err) {
  uint64_t value = 0;
  int code = take_integer(&value, "cluster-column", text, err);
  if (code == 0 && (value < 2 || value > 1000))
    code =
        plm_error_set(err, PLM_E_USAGE, "--cluster-column \"%.40s\": from 2 to 1000 (column 1 holds the names)", text);
  if (code == 0)
    *out = (uint32_t)value;
  return code;
}

static int take_missing(int *own, const char *text, struct plm_error *err) {
  if (strcmp(text, "own") != 0 && strcmp(text, "error") != 0)
    return plm_error_set(err, PLM_E_USAGE, "--clusters-missing \"%.40s\": error or own", text);
  *own = strcmp(text, "own") == 0;
  return 0;
}

static int take_build_value(struct build_arguments *arguments, int key, char *value) {
  struct plm_corpus_build_options *options = &arguments->options;
  struct plm_error *err = &arguments->err;
  switch (key) {
  case 'o': options->output = value; return 0;
  case KEY_FORCE: options->force = 1; return 0;
  case KEY_SKIP_BAD: options->skip_bad = 1; return 0;
  case KEY_CLUSTERS: options->clusters = value; return 0;
  case KEY_VALID_FASTA: options->valid_fasta = value; return 0;
  case KEY_TEST_FASTA: options->test_fasta = value; return 0;
  case KEY_LENGTH_MIN: return take_integer(&options->length_min, "min-length", value, err);
  case KEY_LENGTH_MAX: return take_integer(&options->length_max, "max-length", value, err);
  case KEY_SEED: return take_integer(&options->seed, "seed", value, err);
  case KEY_CLUSTER_COLUMN: return take_column(&options->cluster_column, value, err);
  case KEY_CLUSTERS_MISSING: return take_missing(&options->clusters_missing_own, value, err);
  case KEY_VALID: arguments->valid_given = 1; return take_fraction(&options->valid, "valid", value, err);
  case KEY_TEST: arguments->test_given = 1; return take_fraction(&options->test, "test", value, err);
  case ARGP_KEY_ARG: arguments->inputs[options->input_count++] = value; return 0;
  default: return -1;
  }
}

static error_t take_build_key(int key, char *value, struct argp_state *state) {
  struct build_arguments *arguments = state->input;
  if (arguments->err.code != 0)
    return 0;
  return take_build_value(arguments, key, value) < 0 ? ARGP_ERR_UNKNOWN : 0;
}

static const struct argp build_argp = {build_keys, take_build_key, "IN... -o OUT", build_text, NULL, NULL, NULL};

static void print_counts(const struct plm_corpus_build_options *options, const struct plm_corpus_counts *counts,
                         const char *digest) {
  printf("%s  digest %s\n", options->output, digest);
#define X(name, text) \
  if (FROM->name != 0) \
    printf("  %14" PRIu64 "  %s\n", FROM->name, text);
#define FROM counts
  PLM_CORPUS_COUNTS(X)
#undef FROM
#define FROM (&counts->letters)
  PLM_ALPHABET_COUNTS(X)
#undef FROM
#undef X
}

static int run_build(int argc, char **argv, struct plm_error *err) {
  struct build_arguments arguments = {.options = {.valid = 0.02, .test = 0.02, .length_min = 11},
                                      .err = PLM_ERROR_INIT};
  struct plm_corpus_build_options *options = &arguments.options;
  struct plm_corpus_counts counts;
  char digest[PLM_HASH_TEXT];
  arguments.inputs = calloc((size_t)argc, sizeof *arguments.inputs);
  if (arguments.inputs == NULL)
    return plm_error_memory(err, "the arguments");
  options->inputs = arguments.inputs;
  int code = plm_cli_parse(&build_argp, argc, argv, &arguments, err);
  if (code == 0 && arguments.err.code != 0) {
    *err = arguments.err;
    code = err->code;
  }
  if (code == 0 && options->output == NULL)
    code = plm_error_set(err, PLM_E_USAGE, "no output: give -o FILE");
  if (options->valid_fasta != NULL && !arguments.valid_given)
    options->valid = 0;
  if (options->test_fasta != NULL && !arguments.test_given)
    options->test = 0;
  if (code == 0)
    code = plm_corpus_build(options, &counts, digest, err);
  if (code == 0)
    print_counts(options, &counts, digest);
  free(arguments.inputs);
  return code;
}

/* ------------------------------------------------------------------- info */

struct info_arguments {
  const char *path;
  int as_json, too_many;
};

#define KEY_JSON 2000
static const struct argp_option info_keys[] = {{"json", KEY_JSON, NULL, 0, "print JSON, schema plmscale.corpus/1", 0},
                                               {0}};

static const char info_text[] =
    "Checks a corpus and says what it holds: splits, lengths, composition, what was dropped, and the "
    "SHA-256 of the files it was made from.";

static error_t take_info_key(int key, char *value, struct argp_state *state) {
  struct info_arguments *arguments = state->input;
  switch (key) {
  case KEY_JSON: arguments->as_json = 1; return 0;
  case ARGP_KEY_ARG:
    arguments->too_many |= arguments->path != NULL;
    arguments->path = value;
    return 0;
  default: return ARGP_ERR_UNKNOWN;
  }
}

static const struct argp info_argp = {info_keys, take_info_key, "CORPUS", info_text, NULL, NULL, NULL};

static json_int_t integer_of(const json_t *json, const char *key) {
  return json_integer_value(json_object_get(json, key));
}

static const char *text_of(const json_t *json, const char *key) {
  const char *text = json_string_value(json_object_get(json, key));
  return text != NULL ? text : "?";
}

static void print_splits(json_t *splits) {
  const char *name, *letter;
  json_t *split, *count;
  printf("\n%-6s %12s %14s %14s %7s %7s %7s %9s\n", "split", "sequences", "residues", "tokens", "p05", "median", "p95",
         "longest");
  json_object_foreach(splits, name, split) {
    const json_t *lengths = json_object_get(split, "lengths");
    printf("%-6s %12" JSON_INTEGER_FORMAT " %14" JSON_INTEGER_FORMAT " %14" JSON_INTEGER_FORMAT
           " %7" JSON_INTEGER_FORMAT " %7" JSON_INTEGER_FORMAT " %7" JSON_INTEGER_FORMAT " %9" JSON_INTEGER_FORMAT "\n",
           name, integer_of(split, "sequences"), integer_of(split, "residues"), integer_of(split, "tokens"),
           integer_of(lengths, "p05"), integer_of(lengths, "median"), integer_of(lengths, "p95"),
           integer_of(lengths, "max"));
  }
  json_t *train = json_object_get(splits, "train");
  double residues = (double)integer_of(train, "residues");
  fputs("\ntraining residues, %:", stdout);
  json_object_foreach(json_object_get(train, "composition"), letter, count) if (json_integer_value(count) > 0)
      printf(" %s %.2g", letter, 100 * (double)json_integer_value(count) / residues);
  putchar('\n');
}

static void print_info(const char *path, json_t *json) {
  size_t i;
  json_t *source;
  printf("%s  digest %s  (%s, %s)\n", path, text_of(json, "digest"), text_of(json, "tool_version"),
         text_of(json, "created_utc"));
  print_splits(json_object_get(json, "splits"));
  putchar('\n');
  const json_t *counts = json_object_get(json, "counts");
#define X(name, text) \
  if (integer_of(counts, #name) != 0) \
    printf("  %14" JSON_INTEGER_FORMAT "  %s\n", integer_of(counts, #name), text);
  PLM_CORPUS_COUNTS(X)
  PLM_ALPHABET_COUNTS(X)
#undef X
  fputs("\nsources\n", stdout);
  json_array_foreach(json_object_get(json, "sources"), i, source)
      printf("  %s  %-8s %s\n", text_of(source, "sha256"), text_of(source, "role"), text_of(source, "name"));
}

static int run_info(int argc, char **argv, struct plm_error *err) {
  struct info_arguments arguments = {0};
  int code = plm_cli_parse(&info_argp, argc, argv, &arguments, err);
  if (code != 0)
    return code;
  if (arguments.path == NULL || arguments.too_many)
    return plm_error_set(err, PLM_E_USAGE, "data info takes one corpus");
  json_t *json;
  code = plm_corpus_describe(&json, arguments.path, err);
  if (code != 0)
    return code;
  if (arguments.as_json)
    return plm_cli_print_json(json, err);
  print_info(arguments.path, json);
  json_decref(json);
  return 0;
}

/* ------------------------------------------------------------------- verb */

static const char usage_text[] = "usage: plmscale data build IN... -o OUT [OPTION...]\n"
                                 "       plmscale data info CORPUS [--json]\n"
                                 "`plmscale data build --help` explains the options and the rules.\n";

int plm_cli_data(int argc, char **argv, struct plm_error *err) {
  static char build_name[] = "plmscale data build", info_name[] = "plmscale data info";
  static const char *const names[] = {"build", "info"};
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "build") == 0) {
    argv[1] = build_name;
    return run_build(argc - 1, argv + 1, err);
  }
  if (strcmp(what, "info") == 0) {
    argv[1] = info_name;
    return run_info(argc - 1, argv + 1, err);
  }
  if (strcmp(what, "--help") == 0 || strcmp(what, "-?") == 0) {
    fputs(usage_text, stdout);
    return 0;
  }
  const char *nearest = plm_error_nearest(what, names, 2);
  return plm_error_set(err, PLM_E_USAGE, "data \"%.40s\": not build or info%s%s; `plmscale data --help` explains", what,
                       nearest != NULL ? ", did you mean " : "", nearest != NULL ? nearest : "");
}
