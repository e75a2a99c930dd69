#!/bin/sh
# Starts PostgreSQL as the upstream image does.
# Reads: POSTGRES_PASSWORD, POSTGRES_USER, POSTGRES_DB, POSTGRES_INITDB_ARGS (each also as <name>_FILE), POSTGRES_HOST_AUTH_METHOD,
# PGDATA, /docker-entrypoint-initdb.d/*.{sh,sql,sql.gz}. Again: a folder with a database in it is started as it is; one whose
# making was cut short is made anew.
set -eu
umask 077

# setting NAME DEFAULT: the value of $NAME, or of the file that $NAME_FILE names
setting() {
    eval "value=\${$1:-} file=\${$1_FILE:-}"
    if [ -n "$value" ] && [ -n "$file" ]; then
        echo "set only one of $1 and $1_FILE" >&2
        exit 1
    fi
    if [ -n "$file" ]; then value=$(cat "$file"); fi
    printf %s "${value:-$2}"
}

as_server_user() {
    if [ "$(id -u)" = 0 ]; then
        install -d -o 999 -g 999 "$PGDATA" /var/run/postgresql
        chown -R 999:999 "$PGDATA"
        exec setpriv --reuid=999 --regid=999 --clear-groups -- "$0" "$@"
    fi
}

make_database() {
    user=$(setting POSTGRES_USER postgres)
    database=$(setting POSTGRES_DB "$user")
    password=$(setting POSTGRES_PASSWORD '')
    method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    if [ -z "$password" ] && [ "$method" != trust ]; then
        echo "set POSTGRES_PASSWORD to the superuser's password, or POSTGRES_HOST_AUTH_METHOD=trust to need none" >&2
        exit 1
    fi
    # beside the data and then renamed, so that a kill leaves nothing that looks finished
    fresh=$PGDATA/.initializing
    rm -rf "$fresh"
    mkdir -p "$fresh"
    secret=$(mktemp)
    printf '%s\n' "$password" > "$secret"
    # shellcheck disable=SC2086 # the arguments are words
    initdb --username="$user" ${password:+--pwfile="$secret"} --encoding=UTF8 --locale=C.UTF-8 \
        --auth-local=trust --auth-host="$method" ${POSTGRES_INITDB_ARGS:-} --pgdata="$fresh"
    rm -f "$secret"
    echo "host all all all $method" >> "$fresh/pg_hba.conf"
    pg_ctl --pgdata="$fresh" --wait --options="-c listen_addresses='' -c unix_socket_directories=/tmp" start
    export PGHOST=/tmp PGUSER="$user"
    if [ "$database" != postgres ]; then createdb "$database"; fi
    export PGDATABASE="$database"
    for script in /docker-entrypoint-initdb.d/*; do
        case $script in
            *.sh) . "$script" ;;
            *.sql) psql --set=ON_ERROR_STOP=1 --no-psqlrc --file="$script" ;;
            *.sql.gz) gunzip -c "$script" | psql --set=ON_ERROR_STOP=1 --no-psqlrc ;;
        esac
    done
    unset PGHOST PGUSER PGDATABASE
    pg_ctl --pgdata="$fresh" --wait --mode=fast stop
    # PG_VERSION goes last: only then does the folder count as a database
    find "$fresh" -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv -t "$PGDATA" {} +
    mv "$fresh/PG_VERSION" "$PGDATA/"
    rmdir "$fresh"
}

clear_cut_short() {
    if [ -e "$PGDATA/.initializing" ]; then
        find "$PGDATA" -mindepth 1 -maxdepth 1 ! -name lost+found -exec rm -rf {} +
    fi
}

case ${1:-postgres} in -*) set -- postgres "$@" ;; esac
if [ "${1:-postgres}" = postgres ]; then
    as_server_user "$@"
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA" 2>/dev/null || true
    if [ ! -s "$PGDATA/PG_VERSION" ]; then
        clear_cut_short
        make_database
    fi
fi
exec "$@"
