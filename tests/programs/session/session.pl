# SPDX-License-Identifier: Apache-2.0
# fork, pipes to and from commands, signals, sockets and threads of perl.
use strict; use warnings; $| = 1;
my $pid = fork() // die; if (!$pid) { exit 7 } waitpid $pid, 0; print "child ", $? >> 8, "\n";
pipe(my $r, my $w); if (!fork) { close $r; print $w "line $_\n" for 1..1000; exit } close $w; my @l = <$r>; wait; print scalar(@l), " $l[-1]";
open my $in, '-|', 'seq', 1, 5 or die; print "from seq $_" while <$in>; close $in; print "status $?\n";
open my $out, '|-', 'sort -r' or die; print $out "$_\n" for qw(a c b); close $out;
my $k = open my $self, '-|'; if (!$k) { print "from myself\n"; exit 3 } print <$self>; close $self; print $? >> 8, "\n";
my $text = `echo back; exit 2`; print $text, $? >> 8, "\n"; system('kill -9 $$'); print $? & 127, "\n";
local $SIG{USR1} = sub { print "caught $_[0]\n" }; kill USR1 => $$;
local $SIG{ALRM} = sub { die "alarm\n" }; eval { alarm 1; select undef, undef, undef, 10; }; print "after $@";
local $SIG{CHLD} = sub { 1 while waitpid(-1, 1) > 0; print "reaped\n" }; if (!fork) { exit } sleep 5; $SIG{CHLD} = 'DEFAULT';
my @kids = map { my $n = $_; my $p = fork; if (!$p) { my $s = 0; $s += $_ for 1..50000*$n; exit $n } $p } 1..5; my $sum = 0; waitpid($_, 0), $sum += $? >> 8 for @kids; print "sum $sum\n";
use Socket; socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC); if (!fork) { close $a; syswrite $b, "hello over socketpair"; exit } close $b; sysread $a, my $buf, 100; wait; print "$buf\n";
use IPC::Open3; my $p3 = open3(my $i3, my $o3, undef, 'tr a-z A-Z'); print $i3 "open3\n"; close $i3; print <$o3>; waitpid $p3, 0;
use threads; use threads::shared; my $n :shared = 0; my @t = map { threads->create(sub { for (1..1000) { lock $n; $n++ } $_[0] * 2 }, $_) } 1..4; print join(",", map { $_->join } @t), " $n\n";
use Thread::Queue; my $q = Thread::Queue->new; my $t = threads->create(sub { my $s = 0; while (defined(my $x = $q->dequeue)) { $s += $x } $s }); $q->enqueue($_) for 1..100; $q->end; print $t->join, "\n";
exec 'echo', 'replaced';
