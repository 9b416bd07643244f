// Not built as a module: that there is this file lets go find go-redis under its path with /v9.
module go_redis

go 1.24

require github.com/redis/go-redis/v9 v9.17.2
