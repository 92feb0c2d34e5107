# Shared by the scripts beside it, which source it from the root of the tree.

say() { printf '%s\n' "$*" >&2; }
die() {
    say "error: $*"
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Every file of the tree that is ours. A copy without git's data has no list, so it is walked.
tree_files() {
    if have git && git rev-parse --git-dir >/dev/null 2>&1; then
        git ls-files --cached --others --exclude-standard | while IFS= read -r f; do
            [ -e "$f" ] && printf '%s\n' "$f"
        done
    else
        find . -type d \( -path ./build -o -path ./data -o -path ./.git -o -name node_modules \
            -o -name __pycache__ -o -name .pytest_cache \) -prune -o -type f -print | sed 's|^\./||'
    fi | LC_ALL=C sort
}

# The C files among them.
c_files() { tree_files | grep '\.[ch]$' || true; }

# One line per stanza or line of apt's sources that offers the given suite's main packages:
# kind TAB uri TAB options. Options are what says how the archive is signed, in the form of the kind.
# A key written out in the stanza itself has its lines joined by \001.
apt_archives() { # SUITE
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -f "$f" ] && awk -v suite="$1" '
            $1 == "deb" {
                options = ""
                if (match($0, /\[[^]]*\]/)) {
                    options = substr($0, RSTART, RLENGTH)
                    sub(/\[[^]]*\]/, "")
                }
                if ($3 == suite && $2 !~ /^cdrom:/) print "list\t" $2 "\t" options
            }' "$f"
    done
    for f in /etc/apt/sources.list.d/*.sources; do
        [ -f "$f" ] && awk -v suite="$1" '
            function flush() {
                if (uri != "" && !off && deb && (" " suites " ") ~ (" " suite " "))
                    print "sources\t" uri "\t" signed
                uri = suites = signed = field = ""; off = deb = 0
            }
            /^#/ { next }
            /^[ \t]*$/ { flush(); next }
            /^[ \t]/ { if (field == "signed-by:") signed = signed "\001" $0; next }
            { field = tolower($1); value = $0; sub(/^[^:]*:[ \t]*/, "", value) }
            field == "types:" { deb = value ~ /(^| )deb( |$)/ }
            field == "uris:" { uri = value }
            field == "suites:" { suites = value }
            field == "signed-by:" { signed = "Signed-By: " value }
            field == "enabled:" { off = tolower(value) == "no" }
            END { flush() }' "$f"
    done
    return 0
}
