# After the example described as "four antivirus engines, one slow": a file goes to all four at once, each verdict is shown when it
# comes, and the slow one holds nobody up.
. ./stage.sh
serve
for engine in alpha beta gamma; do php engine.php "$engine" & done
php engine.php slow &
for engine in alpha beta gamma slow; do wait_for_workers "scan_$engine" 1; done
printf 'a harmless letter' >letter
printf 'a letter with an EICAR in it' >parcel
php scan.php letter
rm -f others-are-done
php scan.php parcel
