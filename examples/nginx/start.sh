#!/bin/sh
# Writes the configuration for the port it was given, and becomes nginx.
mkdir -p "$ATOLL_DATA_DIR/tmp"
cat > "$ATOLL_DATA_DIR/nginx.conf" <<C
daemon off; worker_processes 1; pid $ATOLL_DATA_DIR/nginx.pid; error_log stderr;
events { worker_connections 256; }
http { access_log /dev/stdout; client_body_temp_path $ATOLL_DATA_DIR/tmp; proxy_temp_path $ATOLL_DATA_DIR/tmp; fastcgi_temp_path $ATOLL_DATA_DIR/tmp; uwsgi_temp_path $ATOLL_DATA_DIR/tmp; scgi_temp_path $ATOLL_DATA_DIR/tmp;
 server { listen 127.0.0.1:$PORT_HTTP; root $PWD/html; } }
C
exec ./nginx -p "$ATOLL_DATA_DIR" -e stderr -c "$ATOLL_DATA_DIR/nginx.conf"
