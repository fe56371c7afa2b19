# shellcheck shell=bash
# A shell that waits for one child as step 06 needs it: passes signals on, reaps, and keeps the status.

# wait_for ARG...: runs a program with the caller's standard input and signals, and exits as it does.
# Without job control a shell would give it /dev/null, and have it ignore SIGINT and SIGQUIT. (The price: it
# has a process group of its own, so that it could not read from a terminal.)
wait_for() {
    local signal status
    set -m
    # Before the child may run. Signals that the caller ignores cannot be trapped, but those the child
    # ignores too.
    step_child='' step_signals=()
    for signal in HUP INT QUIT USR1 USR2 TERM; do
        # shellcheck disable=SC2064
        trap "step_signals+=($signal); send_on" "$signal"
    done
    "$@" &
    step_child=$!
    started
    # A shell tells when a child was killed. That is not for this one to say.
    exec 2>/dev/null
    send_on
    # A trap ends a wait as well, and so does a child that is stopped; what one that has ended returned can be
    # asked for again. (`wait -f` would sit out the stop. In bash 5.2 it may go round for ever when the child ends
    # just then.)
    while step_interrupted=; do
        wait "$step_child"
        status=$?
        [ -n "$step_interrupted" ] || kill -0 "$step_child" || exit "$status"
    done
}

# started: what a later step does when the child is there, and before it waits.
started() {
    :
}

# send_on: sends the signals that have come to the child, as soon as there is one.
send_on() {
    local signal
    step_interrupted=yes
    [ -n "$step_child" ] || return
    for signal in "${step_signals[@]}"; do
        kill -s "$signal" "$step_child"
    done
    step_signals=()
}
