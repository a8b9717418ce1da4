#!/bin/sh
# plmscale fit from outside: exit codes, and JSON another program can read. $1: the program.
set -u
plmscale=$1
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
failures=0

# expect CODE TEXT ARGUMENT...: the exit code, and TEXT somewhere in the output.
expect() {
  code=$1 text=$2
  shift 2
  "$plmscale" fit "$@" >"$folder/out" 2>&1
  got=$?
  if [ "$got" != "$code" ] || ! grep -qF -e "$text" "$folder/out"; then
    echo "FAILED: fit $*: exit $got, wanted $code with \"$text\":"
    cat "$folder/out"
    failures=$((failures + 1))
  fi
}

# loss = 1.5 + 20/N^0.3 + 40/D^0.3
awk 'BEGIN { print "N,D,loss"; for (c = 1e12; c < 2e14; c *= 10) for (k = -3; k <= 3; k++) {
  n = 10 ^ (0.5 * log(c / 6) / log(10)) * 0.33 * 2 ^ k; d = c / 6 / n;
  printf "%.15g,%.15g,%.15g\n", n, d, 1.5 + 20 * n ^ -0.3 + 40 * d ^ -0.3 } }' >"$folder/good.csv"
printf 'N,D,loss\n1e6,1e7,2.5\n2e6,1e7,2.5\n' >"$folder/few.csv"
printf 'N,D,loss\n1e6,-1e7,2.5\n' >"$folder/bad.csv"

expect 0 'N_opt ~ C^0.500' "$folder/good.csv"
expect 0 'at 1e+14 FLOP the best model has' "$folder/good.csv" --estimator vp
expect 0 'at 5e+12 FLOP the best model has' "$folder/good.csv" --at 5e12 --bootstrap 0
expect 0 '(extrapolated)' "$folder/good.csv" --at 1e12,1e16 --at 1e18 --bootstrap 0
expect 0 '"schema": "plmscale.fit/2"' "$folder/good.csv" --json
{ cat "$folder/good.csv"; echo 3e5,3e8,2.2; } >"$folder/alone.csv"
expect 0 'not used: line 23: alone at its compute: belongs to no budget' "$folder/alone.csv" --estimator parabola --bootstrap 0
expect 1 'no law could be fitted' "$folder/few.csv"
expect 4 'bad.csv:2: column D (tokens): "-1e7" must be above 0' "$folder/bad.csv"
expect 1 'missing.csv' "$folder/missing.csv"
expect 2 'fit takes one STUDY.ini or POINTS.csv'
expect 2 'fit takes one STUDY.ini or POINTS.csv' "$folder/good.csv" "$folder/good.csv"
expect 2 '"spline" is unknown' "$folder/good.csv" --estimator spline
expect 2 'is a table' "$folder/good.csv" --loss valid_mask
expect 2 '--loss "test" is unknown' "$folder/x.ini" --loss test
expect 2 '' "$folder/good.csv" --bootstrap many
expect 2 '' "$folder/good.csv" --at nowhere
expect 2 'budgets are numbers' "$folder/good.csv" --at 6x320x20

# audit, on the law of the table
"$plmscale" fit "$folder/good.csv" -e vp,power --bootstrap 0 --json >"$folder/law.json" 2>/dev/null
printf 'model,N,C\nsmall,1e4,1e14\nlarge,1e9,1e14\n' >"$folder/models.csv"
verb() {
  code=$1 text=$2
  shift 2
  "$plmscale" "$@" >"$folder/out" 2>&1
  got=$?
  if [ "$got" != "$code" ] || ! grep -qF -e "$text" "$folder/out"; then
    echo "FAILED: $*: exit $got, wanted $code with \"$text\":"
    cat "$folder/out"
    failures=$((failures + 1))
  fi
}
verb 0 'over-trained' audit "$folder/models.csv" --law "$folder/law.json"
verb 0 "by vp of $folder/law.json, fitted to $folder/good.csv (C 1e+12 to 1e+14)" audit "$folder/models.csv" --law "$folder/law.json"
verb 0 'under-trained' audit "$folder/models.csv" --law "$folder/law.json"
verb 0 '"schema": "plmscale.audit/1"' audit "$folder/models.csv" --law "$folder/law.json" --json
verb 2 'no fit of "huber"' audit "$folder/models.csv" --law "$folder/law.json" -e huber
verb 2 'is not a surface' audit "$folder/models.csv" --law "$folder/law.json" -e power
verb 2 'audit takes one MODELS.csv and --law' audit "$folder/models.csv"
verb 4 'no column N' audit "$folder/law.json" --law "$folder/law.json"
verb 4 'models.csv' audit "$folder/models.csv" --law "$folder/models.csv"
verb 0 'N_opt   ' predict "$folder/good.csv" --compute 1e13
verb 0 '(95 %:' predict "$folder/good.csv" --compute 1e13
verb 0 'warning: extrapolated: C is 1e+03 times beyond the 1e+14 measured, N_opt is' predict --law "$folder/law.json" --compute 1e17
verb 0 '"schema": "plmscale.predict/1"' predict --law "$folder/law.json" --compute 1e13 --json
verb 0 'by parabola' predict "$folder/good.csv" --compute 1e13 -e parabola --bootstrap 0
verb 0 'at 1e+13 FLOP, by vp' predict "$folder/good.csv" --loss 2.33038 -b 0
verb 0 'Step Law, text models' predict "$folder/good.csv" --compute 1e19 -b 0
verb 0 'Cheng et al., protein models' predict "$folder/good.csv" --params 100M -b 0
verb 1 'never reached: by vp the floor E is 1.5' predict "$folder/good.csv" --loss 1.4 -b 0
verb 2 'need a surface' predict "$folder/good.csv" --loss 2 -e parabola
verb 2 'must be above 0' predict "$folder/good.csv" --params -3
verb 2 'predict takes one of --compute, --params, --loss' predict "$folder/good.csv" --params 1M --loss 2
verb 2 'need a study' predict "$folder/good.csv" --compute 1e13 --sheet card=20000,500
verb 2 'need a study' predict --law "$folder/law.json" --compute 1e13 --backend cpu
verb 1 'no law could be fitted' predict "$folder/few.csv" --compute 1e13
verb 2 'and one of STUDY.ini, POINTS.csv, --law' predict --compute 1e13
verb 2 'and one of STUDY.ini, POINTS.csv, --law' predict "$folder/good.csv" --law "$folder/law.json" --compute 1e13
verb 2 'must be above 0' predict "$folder/good.csv" --compute 0
verb 2 '"spline" is unknown' predict "$folder/good.csv" --compute 1e13 -e spline
verb 2 'why takes one STUDY.ini' why

[ "$failures" = 0 ]
