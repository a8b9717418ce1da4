# The picture of the README, from the quickstart's own figures: gnuplot docs/figures/idea.gp (run in the root of the tree)
set terminal svg size 760,430 font "Helvetica,14" background "white" dynamic
set output "docs/idea.svg"
set logscale x
set xrange [1500:36000]
set yrange [2.8275:2.8665]
set xlabel "model size N, parameters of the layers"
set ylabel "validation loss over <mask>, nats"
set xtics ("2k" 2000, "4k" 4000, "8k" 8000, "16k" 16000, "32k" 32000)
set format y "%.2f"
set ytics 0.01
set grid lc rgb "#e8e8e8"
set border 3
set tics nomirror
set key at graph 0.99,0.28 samplen 1 spacing 1.15
set label 1 "many tokens,\ntoo small a model" at graph 0.02,0.93 tc rgb "#777777"
set label 2 "too few tokens\nfor so large a model" at graph 0.62,0.97 tc rgb "#777777"
data = "docs/figures/idea.tsv"
array colour[3] = ["#9ecae1", "#4292c6", "#08519c"]
array name[3] = ["C = 1e11 FLOP", "C = 2e11", "C = 5e11"]
f1(x) = a1*log(x)**2 + b1*log(x) + c1
f2(x) = a2*log(x)**2 + b2*log(x) + c2
f3(x) = a3*log(x)**2 + b3*log(x) + c3
set fit quiet logfile "/dev/null"
a1 = a2 = a3 = 0.005; b1 = b2 = b3 = -0.08; c1 = c2 = c3 = 3.1
fit f1(x) data index 0 using 2:4 via a1, b1, c1
fit f2(x) data index 1 using 2:4 via a2, b2, c2
fit f3(x) data index 2 using 2:4 via a3, b3, c3
m1 = exp(-b1/(2*a1)); m2 = exp(-b2/(2*a2)); m3 = exp(-b3/(2*a3))
plot f1(x) lw 2 lc rgb colour[1] notitle, f2(x) lw 2 lc rgb colour[2] notitle, f3(x) lw 2 lc rgb colour[3] notitle, \
     for [i=1:3] data index i-1 using 2:4 with points pt 7 ps 0.9 lc rgb colour[i] title name[i], \
     "+" using (m1):(f1(m1)) every ::0::0 with points pt 9 ps 1.2 lc rgb "#d94801" title "parabola's minimum", \
     "+" using (m2):(f2(m2)) every ::0::0 with points pt 9 ps 1.2 lc rgb "#d94801" notitle, \
     "+" using (m3):(f3(m3)) every ::0::0 with points pt 9 ps 1.2 lc rgb "#d94801" notitle
