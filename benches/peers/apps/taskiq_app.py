import asyncio

from taskiq_aio_pika import AioPikaBroker
from taskiq_aio_pika.exchange import Exchange
from taskiq_aio_pika.queue import Queue, QueueType
from taskiq_redis import RedisAsyncResultBackend

import setting

broker = AioPikaBroker(
    setting.AMQP,
    qos=setting.CONCURRENCY,
    exchange=Exchange(name=setting.QUEUE),
    task_queues=[Queue(name=setting.QUEUE, type=QueueType.CLASSIC)],
    dead_letter_queue=Queue(name=f"{setting.QUEUE}.dead_letter", type=QueueType.CLASSIC),
).with_result_backend(RedisAsyncResultBackend(setting.REDIS, result_ex_time=setting.RESULT_SECONDS))


@broker.task(task_name="noop")
async def noop():
    return None


async def main():
    await broker.startup()
    await setting.submit_together(noop.kiq)
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
