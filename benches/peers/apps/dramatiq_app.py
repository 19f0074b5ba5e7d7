import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

import setting

broker = RabbitmqBroker(url=setting.AMQP, confirm_delivery=setting.CAREFUL)
results = RedisBackend(url=setting.REDIS, namespace=setting.QUEUE)
broker.add_middleware(Results(backend=results, store_results=True, result_ttl=setting.RESULT_SECONDS * 1000))
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name=setting.QUEUE)
def noop():
    return 1


if __name__ == "__main__":
    broker.declare_queue(setting.QUEUE, ensure=True)
    setting.submit(noop.send)
