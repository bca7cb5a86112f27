-- A thousand sample prompts, loaded the way any producer loads its own: by INSERT. deploy/quickstart runs this file.
-- `key` makes it safe to load twice: the same (job, key) again enqueues nothing and is no error.
INSERT INTO batchd.request (model, body, job, key)
SELECT 'gpt-4o-mini',
       json_build_object(
         'model', 'gpt-4o-mini',
         'messages', json_build_array(json_build_object('role', 'user', 'content', question)),
         'max_tokens', 60),
       'quickstart',
       'sample-' || n
FROM (
  SELECT n,
         CASE n % 5
           WHEN 0 THEN format('What is %s times %s?', n, n % 37 + 2)
           WHEN 1 THEN format('Name a city that begins with the letter %s.', chr(65 + n / 5 % 26))
           WHEN 2 THEN format('Translate into %s: order number %s has arrived.',
                              (ARRAY['French', 'German', 'Japanese', 'Arabic', 'Swahili'])[n / 5 % 5 + 1], n)
           WHEN 3 THEN format('Is this review positive or negative: %s',
                              (ARRAY['The battery lasts two days, I love it.', 'It broke within a week.',
                                     'Great sound, and it fits in a pocket.', 'The manual is useless.'])[n / 5 % 4 + 1])
           ELSE format('Write a headline for article %s, which is about %s.', n,
                       (ARRAY['bees', 'trains', 'glaciers', 'bread', 'lighthouses', 'chess'])[n / 5 % 6 + 1])
         END AS question
  FROM generate_series(1, 1000) AS n
) AS sample;
