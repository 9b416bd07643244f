// A home-made worker on RabbitMQ with amqp091-go: takes jobs `ID SECONDS` as many at a time as its prefetch allows, and
// acknowledges each when it is done. The environment is that of pika_jobs.py.
package main

import (
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

func note(what, id string) {
	file, err := os.OpenFile(os.Getenv("JOB_LOG"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	check(err)
	now := float64(time.Now().UnixNano()) / 1e9
	_, err = fmt.Fprintf(file, "%s %s %.6f %d %s\n", what, id, now, os.Getpid(), os.Getenv("WORKER"))
	check(err)
	check(file.Close())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func work(job amqp.Delivery) {
	words := strings.Fields(string(job.Body))
	seconds, err := strconv.ParseFloat(words[1], 64)
	check(err)
	note("start", words[0])
	time.Sleep(time.Duration(seconds * float64(time.Second)))
	note("end", words[0])
	check(job.Ack(false))
}

func main() {
	name := amqp.Table{"connection_name": os.Getenv("CONNECTION_NAME")}
	url := "amqp://guest:guest@" + os.Getenv("BROKER") + "/"
	connection, err := amqp.DialConfig(url, amqp.Config{Heartbeat: 10 * time.Second, Properties: name})
	check(err)
	channel, err := connection.Channel()
	check(err)
	prefetch, err := strconv.Atoi(os.Getenv("PREFETCH"))
	check(err)
	check(channel.Qos(prefetch, 0, false))
	_, err = channel.QueueDeclare("jobs", true, false, false, false, nil)
	check(err)
	jobs, err := channel.Consume("jobs", "", false, false, false, false, nil)
	check(err)
	note("ready", "-")
	for job := range jobs {
		go work(job)
	}
}
