// A loop of nobody's own around go-redis, and its producer.
//
//	go_redis worker      takes jobs by KIND: `list` (BRPOP), `private` (BLMOVE, LREM) or `asynq` (see there)
//	go_redis producer    pushes a job for each line `ID SECONDS COUNTDOWN`
//
// Lines of the job log are those of celery_app.py.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

var ctx = context.Background()

func note(what, id, worker string) {
	file, err := os.OpenFile(os.Getenv("JOB_LOG"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	check(err)
	now := float64(time.Now().UnixNano()) / 1e9
	_, err = fmt.Fprintf(file, "%s %s %.6f %d %s\n", what, id, now, os.Getpid(), worker)
	check(err)
	check(file.Close())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func run(job, worker string) {
	words := strings.Fields(job)
	seconds, err := strconv.ParseFloat(words[1], 64)
	check(err)
	note("start", words[0], worker)
	time.Sleep(time.Duration(seconds * float64(time.Second)))
	note("end", words[0], worker)
}

func work(client *redis.Client, worker string) {
	check(client.Ping(ctx).Err())
	note("ready", "-", worker)
	own := "mine:" + worker
	for {
		if os.Getenv("KIND") == "list" {
			found, err := client.BRPop(ctx, time.Second, "jobs").Result()
			if errors.Is(err, redis.Nil) {
				continue
			}
			check(err)
			run(found[1], worker)
			continue
		}
		found, err := client.BLMove(ctx, "jobs", own, "RIGHT", "LEFT", 5*time.Second).Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		check(err)
		run(found, worker)
		check(client.LRem(ctx, own, 1, found).Err())
	}
}

func produce(client *redis.Client) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		note("push", words[0], "producer")
		check(client.LPush(ctx, "jobs", words[0]+" "+words[1]).Err())
	}
	check(lines.Err())
}

func main() {
	client := redis.NewClient(&redis.Options{Addr: os.Getenv("BROKER"), ClientName: os.Getenv("NAME")})
	switch worker := os.Getenv("WORKER"); {
	case os.Args[1] == "worker" && os.Getenv("KIND") == "asynq":
		serve(client, worker)
	case os.Args[1] == "worker":
		work(client, worker)
	case os.Getenv("KIND") == "asynq":
		enqueueAll(client)
	default:
		produce(client)
	}
}
