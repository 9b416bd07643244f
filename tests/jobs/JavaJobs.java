// A home-made worker on RabbitMQ with its Java client: takes jobs `ID SECONDS` as many at a time as its prefetch allows,
// and acknowledges each when it is done. The environment is that of pika_jobs.py.

import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Envelope;
import com.rabbitmq.client.AMQP;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

public class JavaJobs {
    static final Map<String, String> ENV = System.getenv();
    static FileOutputStream log;

    static synchronized void note(String what, String id) throws IOException {
        double now = System.currentTimeMillis() / 1000.0;
        long pid = ProcessHandle.current().pid();
        String line = String.format(Locale.ROOT, "%s %s %.6f %d %s\n", what, id, now, pid, ENV.get("WORKER"));
        log.write(line.getBytes(StandardCharsets.US_ASCII));
    }

    static void run(Channel channel, long tag, String[] job) {
        try {
            note("start", job[0]);
            Thread.sleep((long) (Double.parseDouble(job[1]) * 1000));
            note("end", job[0]);
            synchronized (channel) {
                channel.basicAck(tag, false);
            }
        } catch (IOException | InterruptedException error) {
            error.printStackTrace();
        }
    }

    public static void main(String[] arguments) throws Exception {
        log = new FileOutputStream(ENV.get("JOB_LOG"), true);
        int prefetch = Integer.parseInt(ENV.get("PREFETCH"));
        ConnectionFactory factory = new ConnectionFactory();
        factory.setUri("amqp://guest:guest@" + ENV.get("BROKER"));
        factory.setNetworkRecoveryInterval(500);
        Connection connection = factory.newConnection(ENV.get("CONNECTION_NAME"));
        Channel channel = connection.createChannel();
        channel.queueDeclare("jobs", true, false, false, null);
        channel.basicQos(prefetch);
        ExecutorService pool = Executors.newFixedThreadPool(prefetch);
        channel.basicConsume("jobs", false, new DefaultConsumer(channel) {
            @Override
            public void handleDelivery(String tag, Envelope envelope, AMQP.BasicProperties properties, byte[] body) {
                String[] job = new String(body, StandardCharsets.US_ASCII).split(" ");
                pool.submit(() -> JavaJobs.run(channel, envelope.getDeliveryTag(), job));
            }
        });
        note("ready", "-");
    }
}
