# SPDX-License-Identifier: Apache-2.0
# tmux: a server, sessions and windows without a terminal, commands typed into a shell of theirs.
set -e
export TMUX_TMPDIR=/tmp TERM=screen
t() { tmux -f /dev/null "$@"; }
t new-session -d -s work -x 80 -y 24 "dash -i"
t list-sessions -F '#{session_name} #{session_windows} #{window_width}x#{window_height}'
t send-keys -t work 'echo $((6 * 7)) > /tmp/answer; test -t 0 && stty size >> /tmp/answer; tmux wait-for -S typed' Enter
t wait-for typed
cat /tmp/answer
t new-window -t work "echo from the second window; tmux wait-for -S second; exec sleep 100"
t wait-for second
t list-windows -t work -F '#{window_index} #{pane_dead}'
t capture-pane -p -t work:1 | head -n 1
t resize-window -t work:0 -x 100 -y 30
t send-keys -t work:0 'stty size > /tmp/answer; tmux wait-for -S resized' Enter
t wait-for resized
cat /tmp/answer
t kill-session -t work
while t has-session 2>/dev/null; do sleep 0.01; done
echo ended
