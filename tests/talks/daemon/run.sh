# After the examples described as `gearmand -d -v -p PORT`, as the talks and tutorials on Gearman start it: it goes to the
# background, the prompt comes back, and whoever connects then is served.
. ./stage.sh
# The gearmand of those days counted the `v`s. That of Debian refuses them, ours takes them.
verbose=-v
if [ "${RINGGEAR_TALKS_AGAINST:-}" = gearmand ]; then verbose=; fi
gearmand -d $verbose -p 4731
echo "The prompt is back: $?"
# Ours listens by now.
if [ "${RINGGEAR_TALKS_AGAINST:-}" = gearmand ]; then wait_for gearadmin -p 4731 --getpid; fi
gearman -p 4731 -w -f reverse -- rev &
echo "Hello World!" | gearman -p 4731 -f reverse
pid=$(gearadmin -p 4731 --getpid)
[ "$(cat "/proc/$pid/comm")" = gearmand ] && echo "It is known as gearmand."
[ "$(ps -o sid= -p "$pid")" != "$(ps -o sid= -p "$$")" ] && echo "It has a session of its own."
kill "$pid"
wait_for sh -c "! kill -0 $pid"
echo "It has ended."
