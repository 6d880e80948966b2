# After the example described as "n catalogues searched and combined" (gearman.org has one of three queries for one page, "Multi
# Query"): each catalogue is a function of a worker of its own, and the client shows one list.
. ./stage.sh
serve
for catalogue in *.catalogue; do perl worker.pl "${catalogue%.catalogue}" & done
for catalogue in *.catalogue; do wait_for_workers "search_${catalogue%.catalogue}" 1; done
perl client.pl sea
perl client.pl whale
